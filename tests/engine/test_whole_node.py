"""A whole runtime node, agent and gateway as processes of their own, over each engine: what an app goes through."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import engines, real, runtime_node
from tests.support.engines import RUN
from tests.support.runtime_node import RuntimeNode, Workshop

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture
def node(kind: str, loaded: str, real_parts: Path) -> Iterator[RuntimeNode]:
    name = f"engines-{kind}-{RUN}"
    choice = {"RUNTIME_ENGINE": "swarm" if kind == "swarm" else "docker"}
    with runtime_node.deploy() as deploy:
        plane = {"DEPLOY_BASE_URL": deploy.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
        running = RuntimeNode(real_parts / f"e-{kind}", loaded, name, {**choice, **plane})
        try:
            running.start_gateway()
            running.start_agent()
            yield running
        finally:
            running.close()


def _page(text: str) -> str:
    serve = f'CMD ["sh","-c","echo says {text}; exec httpd -f -p 3000 -h /www"]'
    return f"FROM busybox:1.36\nRUN mkdir -p /www && echo {text} > /www/index.html\n{serve}\n"


def test_an_app_lives_on_every_engine(node: RuntimeNode, tmp_path: Path) -> None:
    real.busybox_image(node.engine)
    shop, app_id = Workshop(node.engine, tmp_path, f"engines-{RUN}"), f"x{RUN}"
    path = f"/runtime/{app_id}/"
    for fence, text in ((1, "v1"), (2, "v2")):
        answer = node.deploy(app_id, shop.image(app_id, f"{'abc'[fence] * 12}-{fence}", _page(text)), fence)
        assert answer.status_code == 200, answer.text
        assert node.page(path).text == f"{text}\n"
    assert "says v2" in node.get("/agent/apps/output", app_id).text
    (used,) = node.get("/agent/apps/stats", app_id).json()["items"]
    assert used["running"] and used["memoryBytes"] > 0 and used["processes"] > 0
    broken = shop.image(app_id, "broken", 'FROM busybox:1.36\nCMD ["sh","-c","echo it breaks; exit 7"]\n')
    refused = node.deploy(app_id, broken, 3)
    assert refused.status_code == 500
    assert "exited with code 7" in refused.json()["detail"]
    assert node.deploy(app_id, broken, 2).status_code == 409
    assert node.page(path).text == "v2\n"
    node.kill_agent()
    assert node.page(path).text == "v2\n"
    node.start_agent()
    node.stop_gateway()
    node.start_gateway()
    assert node.page(path).text == "v2\n"
    assert node.status(app_id)["running"] is True
    assert node.post("/agent/apps/stop", {"userId": "7", "appId": app_id, "fence": 4}).status_code == 200
    assert node.page(path).status_code == 404
    assert node.status(app_id)["exists"] is False
    shop.close()
    node.stop_agent()
    assert engines.rules(node.engine, node.name) == []


def test_a_node_that_may_not_filter_packets_says_so_and_starts_nothing(
    kind: str, loaded: str, real_parts: Path, tmp_path: Path
) -> None:
    name, app_id = f"engines-bare-{kind}-{RUN}", f"y{RUN}"
    bare = [real.program("setpriv", "util-linux"), "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    node = RuntimeNode(real_parts / "e-bare", loaded, name, {"RUNTIME_REQUIRE_FENCE": "false"}, bare)
    shop = Workshop(loaded, tmp_path, f"engines-{RUN}")
    real.busybox_image(loaded)

    def refusal() -> str:
        try:
            return httpx.get(f"{node.agent_url}/internal/ready", trust_env=False, verify=False).text
        except httpx.TransportError:
            return ""

    try:
        node.start_gateway()
        node.start_agent(lambda: "CAP_NET_ADMIN" in refusal())
        answer = node.deploy(app_id, shop.page(app_id, "aaaaaaaaaaaa-1", "v1"), 1)
        assert answer.status_code == 500
        assert "apps are not started unfenced" in answer.json()["detail"]
        assert "RUNTIME_APP_FIREWALL=false" in answer.json()["detail"]
        assert node.containers() == []
    finally:
        node.close()
        shop.close()
