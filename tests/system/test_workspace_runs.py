"""Runs in a real container: served, seen by the gateway's question, followed, stopped for certain, woken by a visit."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from aiodocker import Docker

from daemons.kit.engine.firewall import NoFirewall
from daemons.workspace.adapters.docker import DockerContainers, networks
from daemons.workspace.adapters.forwarding import ContainerWays
from daemons.workspace.adapters.sockets import ContainerSockets
from protocol.client.transport import Refused
from protocol.workspace_runs import RunState, RunType, RunView
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import GATEWAY_TOKEN, Node, new_user

pytestmark = pytest.mark.real


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


async def _with_app(node: Node, app_id: str, **files: str) -> str:
    """A user with an app of these files."""
    user = new_user()
    async with node.client(user) as client:
        await client.ensure()
    await asyncio.to_thread(_write, node.home(user) / "apps" / app_id, files)
    return user


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


async def _led(node: Node, app_id: str) -> httpx.Response:
    """What the node answers a gateway that asks for an app."""
    path = f"{node.url}/api/fun-ai/workspace/internal/nginx/port"
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(path, params={"appId": app_id}, headers={"X-WS-Token": GATEWAY_TOKEN})


async def _page(port: str) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}/")).text


async def _becomes(node: Node, user: str, *states: RunState) -> RunView:
    found: list[RunView] = []

    async def there() -> bool:
        async with node.client(user) as client:
            found.append(await client.run_status())
        return found[-1].state in states

    await eventually(there)
    return found[-1]


async def test_a_page_is_served_seen_and_stopped(node: Node) -> None:
    user = await _with_app(node, "page1", index__html="hello from a workspace")
    async with node.client(user) as client:
        assert (await client.run_status()).state is RunState.IDLE
        begun = await client.run(RunType.START, "page1")
        assert (begun.app_id, begun.type, begun.framework) == ("page1", RunType.START, "static")
        running = await _becomes(node, user, RunState.RUNNING)
        assert running.preview_url == "http://127.0.0.1:8088/preview/page1/"
        assert running.listening == (5173,)
        answer = await _led(node, "page1")
        assert (answer.status_code, answer.headers["X-WS-Prefix"]) == (204, "strip")
        assert await _page(answer.headers["X-WS-Port"]) == "hello from a workspace"
        assert (await client.stop_run()).state is RunState.IDLE
    assert (await _led(node, "page1")).status_code == 404
    assert await _programs(node, user) == []


async def test_a_visit_wakes_what_is_frozen_and_starts_what_was_stopped(node: Node) -> None:
    user = await _with_app(node, "page2", index__html="awake")
    async with node.client(user) as client:
        await client.run(RunType.START, "page2")
        await _becomes(node, user, RunState.RUNNING)
        workspaces = node.services.workspaces
        assert await workspaces.freeze(user)
        answer = await _led(node, "page2")
        assert await _page(answer.headers["X-WS-Port"]) == "awake"
        assert await workspaces.stop(user)
        asleep = await client.run_status()
        assert (asleep.state, "asleep" in asleep.message) == (RunState.DEAD, True)
        answer = await _led(node, "page2")
        assert await _page(answer.headers["X-WS-Port"]) == "awake"


async def test_visitors_are_led_to_a_server_that_listens_elsewhere(node: Node) -> None:
    """On another port, and on the container's own loopback alone; then to the one that takes its place."""
    user = await _with_app(node, "page3")
    async with node.client(user) as client, Docker(url=node.docker_url) as docker:
        await client.ensure()
        fenced = networks(docker, node.settings.node_name, node.settings.subnets, NoFirewall())
        containers = DockerContainers(docker, node.settings.node_name, fenced)
        ways = ContainerWays(containers)
        for number in (3456, 3457):
            await _served_inside(node, user, number)
            await eventually(partial(_listens, ContainerSockets(containers), user, number))
            port = await ways.lead(user, number)
            assert await _page(str(port)) == f"on {number}\n"
            # The agreed port is still the app's own.
            inside = await ContainerSockets(containers).listening(user)
            assert node.settings.container_port not in {one.port for one in inside}
        await ways.close()


async def _served_inside(node: Node, user_id: str, port: int) -> None:
    script = f"mkdir /tmp/{port} && echo on {port} > /tmp/{port}/index.html && httpd -p 127.0.0.1:{port} -h /tmp/{port}"
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{user_id}", "sh", "-c", script]
    await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True)


async def _listens(sockets: ContainerSockets, user_id: str, port: int) -> bool:
    return any(one.port == port and one.loopback for one in await sockets.listening(user_id))


async def test_what_cannot_run_says_why(node: Node) -> None:
    user = await _with_app(node, "empty", readme="nothing")
    async with node.client(user) as client:
        with pytest.raises(Refused, match=r"no package\.json") as refusal:
            await client.run(RunType.START, "empty")
        assert refusal.value.status == 400
        with pytest.raises(Refused, match="no folder of this app") as refusal:
            await client.run(RunType.START, "other")
        assert refusal.value.status == 404
        with pytest.raises(Refused, match="has left a log") as refusal:
            await client.run_log("empty", RunType.BUILD)
        assert refusal.value.status == 404


async def test_runs_that_are_begun_at_once_take_turns(node: Node) -> None:
    """One of them is remembered, with the end that was its own."""
    user = await _with_app(node, "many", requirements__txt="nothing-at-all")
    async with node.client(user) as client:
        await asyncio.gather(*(client.run(RunType.INSTALL, "many") for _ in range(5)))
        ended = await _becomes(node, user, RunState.FAILED)
        assert (ended.type, ended.app_id, ended.exit_code, ended.pid) == (RunType.INSTALL, "many", 127, None)
        assert "python3" in (await client.run_log("many", RunType.INSTALL)).log
    assert await _programs(node, user) == []
    assert node.services.runs.living() == ()


async def _programs(node: Node, user_id: str) -> list[str]:
    """What runs in the container besides its first processes."""
    argv = ["docker", "-H", node.docker_url, "top", f"ws-u-{user_id}", "-o", "pid,args"]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    lines = [line.split(None, 1)[1] for line in done.stdout.splitlines()[1:]]
    return [line for line in lines if "docker-init" not in line and "2147483647" not in line]


async def test_who_serves_is_told_and_the_log_is_bounded_and_cleared(docker_url: str, tmp_path: Path) -> None:
    async with workspace_node.node(docker_url, tmp_path, FUNAI_WORKSPACE_RUNLOGMAXBYTES="1m") as node:
        user = await _with_app(node, "page9", index__html="served")
        async with node.client(user) as client:
            begun = await client.run(RunType.START, "page9")
            running = await _becomes(node, user, RunState.RUNNING)
            assert begun.pid is not None and begun.pid == running.pid and running.port_listen_pid is not None
            assert "httpd" in await _inside(node, user, f"tr '\\0' ' ' < /proc/{running.port_listen_pid}/cmdline")
            assert await _inside(node, user, f"test -d /proc/{running.pid} && echo there") == "there"
            log = node.home(user) / str(running.log_path).removeprefix("/workspace/")
            await _inside(node, user, f"yes 0123456789 | head -c 20000000 >> /workspace/run/{log.name}")

            async def bounded() -> bool:
                status = await asyncio.to_thread(log.stat)
                return status.st_size > 19_000_000 and status.st_blocks * 512 < 1_400_000

            await eventually(bounded)
            kept = await client.run_log("page9", RunType.START)
            assert 900_000 < len(kept.log) < 1_400_000 and "\0" not in kept.log
            who = {"userId": user, "appId": "page9"}
            assert (
                await client.transport.call("POST", "/api/fun-ai/workspace/realtime/log/clear", str, query=who) == "ok"
            )
            assert (await client.run_log("page9", RunType.START)).log == ""
            assert (await client.run_status()).state is RunState.RUNNING


async def _inside(node: Node, user_id: str, script: str) -> str:
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{user_id}", "sh", "-c", script]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    return done.stdout.strip()
