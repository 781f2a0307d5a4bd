"""The existing runner, which knows no fence, is served by an agent that admits it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import runtime_node
from tests.support.runtime_node import TOKEN, RuntimeNode, Workshop

pytestmark = pytest.mark.real
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str) -> Iterator[RuntimeNode]:
    with runtime_node.node(real_parts / "ax", docker_url, f"agent-x-{_RUN}", RUNTIME_REQUIRE_FENCE="false") as running:
        yield running


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"agent-x-{_RUN}")
    yield shop
    shop.close()


def call_as_the_runner_does(node: RuntimeNode, app_id: str, image: str) -> dict[str, object]:
    """Its request to the letter: ids as strings, five keys, a limit of 30 s; it checks the status and for an object."""
    body = {"userId": "7", "appId": app_id, "image": image, "containerPort": 3000, "basePath": f"/apps/{app_id}"}
    answer = httpx.post(
        f"{node.agent_url}/agent/apps/deploy",
        json=body,
        headers={"X-Runtime-Token": TOKEN, "Content-Type": "application/json"},
        timeout=120,
        trust_env=False,
        verify=False,
    )
    answer.raise_for_status()
    document = answer.json()
    assert isinstance(document, dict)
    return document


def test_deploys_again_and_again_under_one_moving_tag(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = f"x{_RUN}"
    for version in ("v1", "v2", "v3"):
        image = workshop.page(app_id, "latest", version)
        answer = call_as_the_runner_does(node, app_id, image)
        assert (answer["appId"], answer["status"]) == (app_id, "DEPLOYED")
        assert str(answer["containerName"]).startswith(f"rt-u-7-{app_id}-r0")
        assert answer["previewUrl"] == f"{node.gateway_url}/apps/{app_id}/"
        assert node.page(f"/apps/{app_id}/").text == f"{version}\n"
    status = node.status(app_id)
    assert (status["exists"], status["running"], status["fence"]) == (True, True, None)
    gone = node.post("/agent/apps/delete", {"userId": "7", "appId": app_id}).json()
    assert gone["status"] == "DELETED"
    assert gone["images"]["removed"] == [f"agent-x-{_RUN}/u7-app{app_id}:latest"]
    assert gone["mongo"]["enabled"] is False
    assert node.containers(app_id) == []


def test_health_answers_as_the_existing_agent_does(node: RuntimeNode) -> None:
    for path in ("/internal", "/internal/health"):
        assert httpx.get(f"{node.agent_url}{path}", trust_env=False, verify=False).json() == {"ok": True}


def test_errors_have_a_detail(node: RuntimeNode) -> None:
    wrong = node.post("/agent/apps/stop", {"userId": "7", "appId": "1"}, token="another-token-of-16")
    assert wrong.status_code == 401
    assert "X-Runtime-Token" in wrong.json()["detail"]
    bad = node.post("/agent/apps/deploy", {"userId": "7", "appId": "1", "image": "a", "basePath": "/runtime/`2`"})
    assert bad.status_code == 400
    assert "basePath" in bad.json()["detail"]
