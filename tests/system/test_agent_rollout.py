"""The agent's promises over a real engine and a real gateway."""

import asyncio
import json
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.support import real, runtime_node
from tests.support.runtime_node import RuntimeNode, StandInDeploy, Workshop, docker

pytestmark = pytest.mark.real
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def deploy() -> Iterator[StandInDeploy]:
    with runtime_node.deploy() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str, deploy: StandInDeploy) -> Iterator[RuntimeNode]:
    plane = {"DEPLOY_BASE_URL": deploy.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
    with runtime_node.node(real_parts / "an", docker_url, f"agent-test-{_RUN}", **plane) as running:
        yield running


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"agent-test-{_RUN}")
    yield shop
    shop.close()


def new_app() -> str:
    return f"t{secrets.token_hex(4)}"


def live(node: RuntimeNode, workshop: Workshop, app_id: str, text: str = "v1") -> str:
    """An app that is live as attempt 1."""
    answer = node.deploy(app_id, workshop.page(app_id, "aaaaaaaaaaaa-1", text), 1)
    assert answer.status_code == 200, answer.text
    assert node.page(f"/runtime/{app_id}/").text == f"{text}\n"
    return f"rt-u-7-{app_id}-r1"


def still_v1(node: RuntimeNode, app_id: str, old: str) -> None:
    assert node.page(f"/runtime/{app_id}/").text == "v1\n"
    real.wait_until(lambda: node.settled(app_id, old), "the removal of the failed container")
    assert node.status(app_id)["running"] is True


async def load(url: str, connections: int, stop: asyncio.Event) -> Counter[str]:
    """Keep every connection busy until told to stop; counts bodies, and failures under their name."""
    seen: Counter[str] = Counter()

    async def one(session: aiohttp.ClientSession) -> None:
        while not stop.is_set():
            try:
                async with session.get(url) as response:
                    text = (await response.text()).strip()
                    seen[text if response.status == 200 else f"HTTP {response.status}"] += 1
            except aiohttp.ClientError as error:
                seen[type(error).__name__] += 1

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one(session))
    return seen


async def test_redeploy_under_load_fails_no_request(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    await asyncio.to_thread(live, node, workshop, app_id)
    second = await asyncio.to_thread(workshop.page, app_id, "bbbbbbbbbbbb-2", "v2")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        seen = group.create_task(load(f"{node.gateway_url}/runtime/{app_id}/", 16, stop))
        answer = await asyncio.to_thread(node.deploy, app_id, second, 2)
        assert answer.status_code == 200, answer.text
        new = f"rt-u-7-{app_id}-r2"
        await asyncio.to_thread(real.wait_until, lambda: node.settled(app_id, new), "the old container's retirement")
        stop.set()
    assert set(seen.result()) == {"v1", "v2"}, seen.result()
    assert min(seen.result().values()) > 16


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        ('CMD ["httpd","-f","-p","8080","-h","/"]', "listens on 8080: set containerPort"),
        ('CMD ["httpd","-f","-p","127.0.0.1:3000","-h","/"]', "127.0.0.1 only"),
        ('CMD ["sleep","60"]', "nothing listens on port 3000"),
        ('CMD ["sh","-c","echo it breaks here >&2; exit 7"]', "exited with code 7"),
        ('CMD ["/absent"]', "exited with code 127"),
        ('CMD ["dd","if=/dev/zero","of=/dev/null","bs=900M"]', "OOMKilled"),
    ],
    ids=["wrong-port", "loopback", "silent", "crash", "no-command", "memory"],
)
def test_a_broken_image_leaves_the_old_one_serving(
    node: RuntimeNode, workshop: Workshop, dockerfile: str, says: str
) -> None:
    app_id = new_app()
    old = live(node, workshop, app_id)
    broken = workshop.image(app_id, "broken", f"FROM busybox:1.36\n{dockerfile}\n")
    answer = node.deploy(app_id, broken, 2)
    assert answer.status_code == 500
    assert answer.json()["reason"] == "deploy_failed"
    assert says in answer.json()["detail"]
    still_v1(node, app_id, old)


def test_the_last_output_of_a_crash_is_in_the_error(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    broken = workshop.image(app_id, "broken", 'FROM busybox:1.36\nCMD ["sh","-c","echo it breaks here >&2; exit 7"]\n')
    assert "it breaks here" in node.deploy(app_id, broken, 1).json()["detail"]
    assert node.containers(app_id) == []
    real.wait_until(lambda: node.page(f"/runtime/{app_id}/").status_code == 404, "the end of the starting page")


def test_an_absent_image_leaves_the_old_one_serving(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    old = live(node, workshop, app_id)
    local = node.deploy(app_id, f"agent-test-{_RUN}/u7-app{app_id}:absent", 2)
    remote = node.deploy(app_id, f"127.0.0.1:{real.free_port()}/n/u7-app{app_id}:absent", 3)
    assert (local.status_code, remote.status_code) == (500, 500)
    assert "not available" in local.json()["detail"]
    assert "could not pull" in remote.json()["detail"]
    still_v1(node, app_id, old)


def test_a_stale_attempt_is_refused(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    live(node, workshop, app_id)
    second = workshop.page(app_id, "bbbbbbbbbbbb-5", "v5")
    assert node.deploy(app_id, second, 5).status_code == 200
    late = node.deploy(app_id, f"agent-test-{_RUN}/u7-app{app_id}:aaaaaaaaaaaa-1", 4)
    assert (late.status_code, late.json()["reason"]) == (409, "stale_fence")
    assert node.page(f"/runtime/{app_id}/").text == "v5\n"
    again = node.deploy(app_id, second, 5)
    assert (again.status_code, again.json()["containerName"]) == (200, f"rt-u-7-{app_id}-r5")


@pytest.mark.parametrize(("holds", "status"), [(False, 409), (None, 503)], ids=["no", "silence"])
def test_without_deploys_word_nothing_switches(
    node: RuntimeNode, workshop: Workshop, deploy: StandInDeploy, holds: bool | None, status: int
) -> None:
    app_id = new_app()
    old = live(node, workshop, app_id)
    deploy.holds = holds
    try:
        answer = node.deploy(app_id, workshop.page(app_id, "bbbbbbbbbbbb-2", "v2"), 2)
    finally:
        deploy.holds = True
    assert answer.status_code == status, answer.text
    still_v1(node, app_id, old)


def test_an_agent_killed_before_the_switch_rolls_back(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    old = live(node, workshop, app_id)
    slow = workshop.page(app_id, "bbbbbbbbbbbb-2", "v2", delay=30)
    caller = threading.Thread(target=_ignoring_the_end, args=(node, app_id, slow))
    caller.start()
    new = f"rt-u-7-{app_id}-r2"
    real.wait_until(lambda: sorted(node.containers(app_id)) == [old, new], "the new container's start")
    node.kill_agent()
    caller.join()
    assert node.page(f"/runtime/{app_id}/").text == "v1\n"
    node.start_agent()
    still_v1(node, app_id, old)
    assert node.deploy(app_id, workshop.page(app_id, "cccccccccccc-3", "v3"), 3).status_code == 200
    assert node.page(f"/runtime/{app_id}/").text == "v3\n"


def _ignoring_the_end(node: RuntimeNode, app_id: str, image: str) -> None:
    try:
        node.deploy(app_id, image, 2)
    except httpx.TransportError:
        return


def test_a_killed_agent_rolls_forward_after_the_commit(node: RuntimeNode, workshop: Workshop) -> None:
    """The journal says that the new one is current, but neither map nor retirement had happened yet."""
    app_id = new_app()
    live(node, workshop, app_id)
    old_line = next(line for line in node.map_path.read_text().splitlines() if line.startswith(f"{app_id} "))
    assert node.deploy(app_id, workshop.page(app_id, "bbbbbbbbbbbb-2", "v2"), 2).status_code == 200
    node.kill_agent()
    routes = [line for line in node.map_path.read_text().splitlines() if not line.startswith(f"{app_id} ")]
    node.map_path.write_text("\n".join([*routes, old_line]) + "\n")
    node.stop_gateway()
    node.start_gateway()
    node.start_agent()
    real.wait_until(lambda: node.page(f"/runtime/{app_id}/").text == "v2\n", "the route's mending")
    real.wait_until(lambda: node.settled(app_id, f"rt-u-7-{app_id}-r2"), "one container")


def test_a_restarted_gateway_serves_the_same_routes(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    live(node, workshop, app_id)
    node.kill_agent()
    try:
        assert node.page(f"/runtime/{app_id}/").text == "v1\n"
        node.stop_gateway()
        node.start_gateway()
        assert node.page(f"/runtime/{app_id}/").text == "v1\n"
    finally:
        node.start_agent()


def test_an_app_never_answers_for_another(node: RuntimeNode, workshop: Workshop) -> None:
    """Ids that begin alike are different apps, and one that is down answers for itself alone."""
    short, long = "1", "12"
    live(node, workshop, short, "one")
    assert node.page(f"/runtime/{long}/").status_code == 404
    live(node, workshop, long, "twelve")
    assert node.page(f"/runtime/{short}/").text == "one\n"
    docker(node.engine, "kill", f"rt-u-7-{long}-r1")
    docker(node.engine, "rm", "-f", f"rt-u-7-{long}-r1")
    answer = node.page(f"/runtime/{long}/")
    # Until the agent has seen what became of it, nothing but silence is known, or that it had just begun.
    assert answer.status_code == 503
    pages = ("The app has crashed", "The app is not answering", "The app is starting")
    assert any(page in answer.text for page in pages), answer.text
    assert node.page(f"/runtime/{short}/").text == "one\n"


def test_labels_of_an_image_change_nothing(node: RuntimeNode, workshop: Workshop) -> None:
    victim, attacker = new_app(), new_app()
    live(node, workshop, victim)
    labels = f"LABEL funai.app-id={victim} funai.user-id=7 funai.fence=999 funai.node=x traefik.enable=true\n"
    answer = node.deploy(attacker, workshop.page(attacker, "x", "evil", extra=labels), 1)
    assert answer.status_code == 200, answer.text
    inspected = json.loads(docker(node.engine, "inspect", f"rt-u-7-{attacker}-r1"))[0]["Config"]["Labels"]
    assert inspected["funai.app-id"] == attacker
    assert inspected["traefik.enable"] == "false"
    stopped = node.post("/agent/apps/stop", {"userId": "7", "appId": victim})
    assert stopped.json() == {"appId": victim, "status": "STOPPED"}
    assert node.page(f"/runtime/{victim}/").status_code == 404
    assert node.page(f"/runtime/{attacker}/").text == "evil\n"


def test_every_container_is_hardened(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    name = live(node, workshop, app_id)
    host = json.loads(docker(node.engine, "inspect", name))[0]["HostConfig"]
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (512 * 1024**2, 512 * 1024**2, 10**9)
    assert (host["PidsLimit"], host["Init"], host["Privileged"]) == (256, True, False)
    assert host["RestartPolicy"]["Name"] == "no"
    assert [binding["HostIp"] for binding in host["PortBindings"]["3000/tcp"]] == ["127.0.0.1"]
    assert docker(node.engine, "exec", name, "grep", "CapEff", "/proc/self/status").split() == [
        "CapEff:",
        "00000000000004eb",
    ]


def test_success_prunes_images_and_delete_removes_them(node: RuntimeNode, workshop: Workshop) -> None:
    app_id = new_app()
    live(node, workshop, app_id)
    for fence in (2, 3):
        assert node.deploy(app_id, workshop.page(app_id, f"bbbbbbbbbbbb-{fence}", f"v{fence}"), fence).is_success
    repository = f"agent-test-{_RUN}/u7-app{app_id}"

    def tags() -> list[str]:
        return sorted(docker(node.engine, "images", "--format={{.Tag}}", repository).split())

    real.wait_until(lambda: tags() == ["bbbbbbbbbbbb-2", "bbbbbbbbbbbb-3"], "the removal of the oldest image")
    deleted = node.post("/agent/apps/delete", {"userId": "7", "appId": app_id}).json()
    assert deleted["status"] == "DELETED"
    assert len(deleted["images"]["removed"]) == 2
    assert (tags(), node.containers(app_id)) == ([], [])
    late = node.deploy(app_id, f"{repository}:bbbbbbbbbbbb-2", 2)
    assert late.json()["reason"] == "stale_fence"


def test_heartbeats_carry_the_engines_disk(node: RuntimeNode, deploy: StandInDeploy) -> None:
    real.wait_until(lambda: bool(deploy.heartbeats), "a heartbeat")
    beat = deploy.heartbeats[-1]
    assert beat["nodeName"] == node.name
    assert 0 < beat["diskFreeBytes"] < beat["diskTotalBytes"]
    assert 0 < beat["inodesFreePct"] <= 100
    assert 0 < beat["inodesFree"] <= beat["inodesTotal"]
    assert beat["containerCount"] >= 0
