"""The agent is killed with SIGKILL in every step of a rollout, as soon as its journal names the step.

Visitors come all the time. None of them may fail; an app that goes beside its old self is never without a running
container, and a one-writer app never has two; afterwards one version serves and nothing else is left.
"""

import asyncio
import itertools
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.support import real, runtime_node
from tests.support.runtime_node import RuntimeNode, StandInDeploy, Workshop, docker

pytestmark = [pytest.mark.real, pytest.mark.timeout(800)]
_RUN = secrets.token_hex(3)
_BESIDE = ("PULL", "START", "PROBE", "CONFIRM", "SWITCH", "WATCH", "DRAIN", "STOP", "PRUNE")
#: What comes after the window is the same for both.
_INSTEAD = ("HOLD", "HALT", "START", "PROBE", "SWITCH", "WATCH", "RETURN")
_SWITCHED = frozenset({"SWITCH", "WATCH", "DRAIN", "STOP", "PRUNE"})
_LONGEST_SECONDS = 20.0


@pytest.fixture(scope="module")
def deploy() -> Iterator[StandInDeploy]:
    with runtime_node.deploy() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str, deploy: StandInDeploy) -> Iterator[RuntimeNode]:
    plane = {"DEPLOY_BASE_URL": deploy.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
    name = f"crash-test-{_RUN}"
    with runtime_node.node(real_parts / "ac", docker_url, name, RUNTIME_WATCH_SECONDS="2", **plane) as running:
        yield running


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"crash-test-{_RUN}")
    yield shop
    shop.close()


class App:
    """One app, deployed again and again; `strategy` is how."""

    def __init__(self, node: RuntimeNode, workshop: Workshop, strategy: str) -> None:
        self.node, self.workshop, self.strategy = node, workshop, strategy
        self.app_id = f"t{secrets.token_hex(4)}"
        self.fence = 0
        self.serves = ""
        self._journal = node.folder / "agent" / "apps" / f"{self.app_id}.json"
        self._events = workshop.folder / f"{self.app_id}.events"

    def step(self) -> str | None:
        """The step that the journal names."""
        progress = json.loads(self._journal.read_bytes())["progress"]
        return progress["step"] if progress is not None else None

    def image(self, *, works: bool = True) -> str:
        """The next version, or one that does not come up."""
        self.fence += 1
        tag = f"{'a' * 12}-{self.fence}"
        if works:
            return self.workshop.page(self.app_id, tag, f"v{self.fence}")
        return self.workshop.image(self.app_id, tag, 'FROM busybox:1.36\nCMD ["sh","-c","sleep 0.3; exit 3"]\n')

    def deploy(self, image: str) -> httpx.Response | None:
        """None when the agent ended before it answered."""
        try:
            return self.node.deploy(self.app_id, image, self.fence, config={"strategy": self.strategy})
        except httpx.TransportError:
            return None

    def kill_in(self, step: str, image: str) -> bool:
        """Deploy, and kill the agent when its journal names the step; False when the step was over too soon."""
        caller = threading.Thread(target=self.deploy, args=(image,))
        caller.start()
        deadline = time.monotonic() + _LONGEST_SECONDS
        seen: list[str | None] = []
        while time.monotonic() < deadline:
            seen.append(self.step())
            if seen[-1] == step:
                break
            if seen[-1] is None and any(seen) and not caller.is_alive():
                break
            # Shorter than any step, and leaves the processor to the agent.
            time.sleep(0.001)
        self.node.kill_agent()
        caller.join()
        return seen[-1] == step

    def rest(self) -> str:
        """Wait until one container is left and nothing is being done; the page that it serves."""
        real.wait_until(lambda: self.step() is None and len(self.node.containers(self.app_id)) == 1, "rest")
        return self.node.page(f"/runtime/{self.app_id}/").text.strip()

    def watched(self) -> AbstractContextManager[object]:
        """Write down each start and end of a container of the app, as the engine tells them."""
        filters = ["--filter=event=start", "--filter=event=die", f"--filter=label=funai.app-id={self.app_id}"]
        argv = [real.program("docker", "docker.io"), "-H", self.node.engine, "events", *filters]
        return real.process([*argv, "--format={{.Status}}"], self._events)

    def running(self) -> list[int]:
        """How many containers of the app ran after each start and each end; after the last of them it is one."""
        changes = [1 if line == "start" else -1 for line in self._events.read_text().split()]
        return [1 - sum(changes) + now for now in itertools.accumulate(changes)]


async def visit(url: str, stop: asyncio.Event) -> set[str]:
    """What two visitors see who never stop asking; a failure is seen under its name."""
    seen: set[str] = set()

    async def one(session: aiohttp.ClientSession) -> None:
        while not stop.is_set():
            try:
                async with session.get(url) as response:
                    text = (await response.text()).strip()
                    seen.add(text if response.status == 200 else f"HTTP {response.status}: {text[:60]}")
            except aiohttp.ClientError as error:
                seen.add(type(error).__name__)
            # A hundred requests a second are enough to meet every gap, and leave the machine to those watched.
            await asyncio.sleep(0.02)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(one(session))
    return seen


async def killed_in_every_step(app: App, steps: tuple[str, ...], hang: str) -> set[str]:
    """What visitors saw while the agent was killed in each of the steps."""
    first = await asyncio.to_thread(app.image)
    answer = await asyncio.to_thread(app.deploy, first)
    assert answer is not None and answer.status_code == 200, answer
    app.serves = await asyncio.to_thread(app.rest)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        seen = group.create_task(visit(f"{app.node.gateway_url}/runtime/{app.app_id}/", stop))
        try:
            for step in steps:
                await asyncio.to_thread(_kill_once, app, step, hang)
        finally:
            stop.set()
    return seen.result()


def _kill_once(app: App, step: str, hang: str) -> None:
    for _ in range(5):
        image = app.image(works=step != "RETURN")
        hit = app.kill_in(step, hang if step == "PULL" else image)
        app.node.start_agent()
        served, wanted = app.rest(), f"v{app.fence}" if step in _SWITCHED else app.serves
        if hit:
            assert served == wanted, (step, served, wanted)
            app.serves = served
            return
        app.serves = served
    pytest.fail(f"the journal never named {step} for long enough")


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """An image reference whose registry accepts connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}/n/u7-appx:1"


def test_start_first(node: RuntimeNode, workshop: Workshop, silent_registry: str) -> None:
    app = App(node, workshop, "start-first")
    with app.watched():
        seen = asyncio.run(killed_in_every_step(app, _BESIDE, silent_registry))
    assert seen <= {f"v{number}" for number in range(1, app.fence + 1)}, seen
    running = app.running()
    assert min(running) >= 1 and max(running) <= 2, running


def test_stop_first(node: RuntimeNode, workshop: Workshop, silent_registry: str) -> None:
    app = App(node, workshop, "stop-first")
    with app.watched():
        seen = asyncio.run(killed_in_every_step(app, _INSTEAD, silent_registry))
    assert seen <= {f"v{number}" for number in range(1, app.fence + 1)}, seen
    assert max(app.running()) == 1


#: Answers until it is told to use up its memory.
_GLUTTON = """FROM busybox:1.36
RUN mkdir -p /www && echo glutton > /www/index.html
CMD ["sh","-c","httpd -p 3000 -h /www; while [ ! -e /eat ]; do sleep 0.05; done; x=aaaa; while :; do x=$x$x; done"]
"""


@pytest.mark.parametrize("strategy", ["start-first", "stop-first"])
def test_a_gateway_that_dies_with_the_agent_serves_again_and_fails_nobody(
    node: RuntimeNode, workshop: Workshop, strategy: str
) -> None:
    """Visitors of a one-writer app wait until the agent is back; those of another are served before."""
    app = App(node, workshop, strategy)
    app.deploy(app.image())
    app.serves = app.rest()
    for step in ("SWITCH", "WATCH"):
        image = app.image()
        hit = app.kill_in(step, image)
        node.kill_gateway()
        node.start_gateway()
        with ThreadPoolExecutor(1) as pool:
            page = pool.submit(
                httpx.get, f"{node.gateway_url}/runtime/{app.app_id}/", timeout=60, trust_env=False, verify=False
            )
            if strategy == "start-first":
                page.result()
            node.start_agent()
            assert page.result().text.strip() in (app.serves, f"v{app.fence}"), page.result().text
        app.serves = app.rest()
        assert not hit or app.serves == f"v{app.fence}"


def test_what_runs_out_of_memory_in_its_window_gives_way_to_the_old_one(node: RuntimeNode, workshop: Workshop) -> None:
    app = App(node, workshop, "start-first")
    first = app.deploy(app.image())
    assert first is not None and (first.status_code, first.json()["watchSeconds"]) == (200, 2.0)
    assert app.rest() == "v1"
    app.fence = 2
    image = workshop.image(app.app_id, "bbbbbbbbbbbb-2", _GLUTTON)
    answer = node.deploy(app.app_id, image, 2, config={"memoryBytes": 32 * 1024**2})
    assert answer.status_code == 200, answer.text
    docker(node.engine, "exec", f"rt-u-7-{app.app_id}-r2", "touch", "/eat")
    assert app.rest() == "v1"
    status = node.status(app.app_id)
    assert (status["condition"], status["fence"], status["failedFence"], status["backTo"]) == ("RUNNING", 1, 2, 1)
    assert "32 MiB of memory (OOMKilled)" in status["failedReason"]


def test_a_crash_loop_is_seen_named_and_slowed_down(node: RuntimeNode, workshop: Workshop) -> None:
    app, hidden = App(node, workshop, "start-first"), secrets.token_hex(16)
    image = workshop.image(app.app_id, "aaaaaaaaaaaa-1", _GLUTTON)
    config = {"secrets": {"API_KEY": hidden}, "memoryBytes": 32 * 1024**2, "restartPolicy": "on-failure"}
    assert node.deploy(app.app_id, image, 1, config=config).status_code == 200
    container = f"rt-u-7-{app.app_id}-r1"
    assert docker(node.engine, "exec", container, "sh", "-c", "echo $API_KEY").strip() == hidden
    real.wait_until(lambda: node.status(app.app_id)["condition"] == "RUNNING", "the end of the window")
    docker(node.engine, "exec", container, "touch", "/eat")
    # Started again at once, it eats at once: the second restart has to wait.
    real.wait_until(lambda: node.status(app.app_id)["crashes"] == 2, "the second crash")
    status = node.status(app.app_id)
    assert (status["condition"], status["running"]) == ("CRASHED", False)
    assert "OOMKilled" in status["reason"]
    assert 0 < status["restartAt"] - time.time() * 1000 <= 10_000
    assert node.post("/agent/apps/stop", {"userId": "7", "appId": app.app_id}).is_success
    kept = [path for path in node.folder.rglob("*") if path.is_file()]
    assert [path.name for path in kept if hidden.encode() in path.read_bytes()] == []
