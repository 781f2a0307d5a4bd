"""A node whose control plane is gone goes on serving, through crashes of apps and of the agent itself."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import real, runtime_node
from tests.support.runtime_node import RuntimeNode, Workshop, docker

pytestmark = pytest.mark.real
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def port() -> int:
    return real.free_port()


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str, port: int) -> Iterator[RuntimeNode]:
    environment = {
        "DEPLOY_BASE_URL": f"http://127.0.0.1:{port}",
        "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN,
        "RUNTIME_DRAIN_SECONDS": "1",
    }
    with runtime_node.node(real_parts / "co", docker_url, f"cut-off-{_RUN}", **environment) as running:
        yield running


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"cut-off-{_RUN}")
    yield shop
    shop.close()


def test_a_node_without_its_control_plane_serves_for_ever(node: RuntimeNode, workshop: Workshop, port: int) -> None:
    app_id = f"t{secrets.token_hex(4)}"
    first = workshop.page(app_id, "aaaaaaaaaaaa-1", "v1")
    second = workshop.page(app_id, "bbbbbbbbbbbb-2", "v2")
    other = workshop.page(f"{app_id}b", "aaaaaaaaaaaa-1", "other")

    def serves(text: str) -> bool:
        return node.page(f"/runtime/{app_id}/").text == text

    with runtime_node.deploy(port) as deploy:
        assert node.deploy(app_id, first, 1).is_success
        assert node.deploy(f"{app_id}b", other, 1).is_success
        real.wait_until(lambda: bool(deploy.heartbeats), "a heartbeat")
    # From here on nobody listens where deploy was.
    assert serves("v1\n")
    refused = node.deploy(app_id, second, 2)
    assert refused.status_code == 503, "nothing goes live that nobody confirms"
    assert serves("v1\n")
    container = f"rt-u-7-{app_id}-r1"
    before = docker(node.engine, "inspect", "--format={{.State.Pid}}", container)
    docker(node.engine, "exec", container, "sh", "-c", "kill -9 -1; kill 1; true")
    real.wait_until(
        lambda: docker(node.engine, "inspect", "--format={{.State.Pid}}", container) not in (before, "0\n"),
        "the start of what crashed",
    )
    real.wait_until(lambda: serves("v1\n"), "the page of what crashed")
    node.kill_agent()
    assert serves("v1\n"), "visitors do not need the agent"
    node.start_agent()
    assert serves("v1\n")
    stopped = node.post("/agent/apps/stop", {"userId": "7", "appId": f"{app_id}b", "fence": 2})
    assert stopped.is_success, stopped.text
    with runtime_node.deploy(port) as deploy:
        real.wait_until(lambda: bool(deploy.heartbeats), "the heartbeat after the silence")
        assert deploy.heartbeats[0]["containerCount"] == 1
        vitals = deploy.heartbeats[-1]["vitals"]
        assert vitals["engineVersion"] and vitals["gatewayVersion"].startswith("haproxy ")
        assert (vitals["containersTotal"], vitals["cpus"] > 0, vitals["load1"] >= 0) == (1, True, True)
        assert node.deploy(app_id, second, 3).is_success
        assert serves("v2\n")
