"""A real workspace sleeps when nobody uses it, and not while it computes."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemons.kit.clock import SystemClock
from daemons.workspace.domain.idle import Busy, Patience, works
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.services.idle import Idle
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real


class Later:
    """The machine's clock, ahead by what a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


async def test_it_is_frozen_then_stopped_then_woken(node: Node) -> None:
    user, clock = new_user(), Later()
    idle = Idle(node.services.workspaces, node.services.runs, node.meters, Patience(10, 20), clock)
    async with node.client(user) as client:
        await client.ensure()
        await idle.sweep()
        assert _phase(node, user) is Phase.RUNNING
        clock.ahead = timedelta(minutes=10, seconds=1)
        await idle.sweep()
        assert _phase(node, user) is Phase.FROZEN
        clock.ahead = timedelta(minutes=20, seconds=1)
        await idle.sweep()
        assert _phase(node, user) is Phase.STOPPED
        await client.ensure()
        assert _phase(node, user) is Phase.RUNNING


async def test_a_computation_is_seen_and_a_container_that_waits_is_not(node: Node) -> None:
    computing, waiting = new_user(), new_user()
    for user in (computing, waiting):
        async with node.client(user) as client:
            await client.ensure()
    before = [await node.meters.sample(user, 0) for user in (computing, waiting)]
    loop = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{computing}", "sh", "-c", loop]
    await asyncio.to_thread(subprocess.run, argv, check=True)
    after = [await node.meters.sample(user, 1000) for user in (computing, waiting)]
    assert before[0] and before[1] and after[0] and after[1]
    assert works(before[0], after[0], Busy())
    assert not works(before[1], after[1], Busy())


async def test_what_comes_over_an_open_connection_wakes_it_and_is_no_use(node: Node) -> None:
    user, clock = new_user(), Later()
    workspaces = node.services.workspaces
    idle = Idle(workspaces, node.services.runs, node.meters, Patience(10, 20), clock)
    async with node.client(user) as client:
        port = (await client.ensure()).host_port
    await _inside(node, user, f"nc -ll -p {node.settings.container_port} -e cat")
    reader, writer = await _connected(port)
    with contextlib.closing(writer):
        clock.ahead = timedelta(minutes=10, seconds=1)
        await idle.sweep()
        await idle.heed()
        assert _phase(node, user) is Phase.FROZEN
        writer.write(b"are you there\n")
        await writer.drain()
        await eventually(lambda: _unread(node, user))
        await idle.heed()
        assert await asyncio.wait_for(reader.readline(), 20) == b"are you there\n"
        assert _phase(node, user) is Phase.RUNNING
        await idle.heed()
        await idle.sweep()
        assert _phase(node, user) is Phase.FROZEN


async def test_what_a_program_leaves_unread_wakes_it_once(node: Node) -> None:
    user = new_user()
    workspaces = node.services.workspaces
    idle = Idle(workspaces, node.services.runs, node.meters, Patience(10, 20), SystemClock())
    async with node.client(user) as client:
        port = (await client.ensure()).host_port
    await _inside(node, user, f"nc -ll -p {node.settings.container_port} -e sleep 1000")
    _, writer = await _connected(port)
    with contextlib.closing(writer):
        await workspaces.freeze(user)
        writer.write(b"nobody reads this\n")
        await writer.drain()
        await eventually(lambda: _unread(node, user))
        for wanted in (Phase.RUNNING, Phase.FROZEN):
            await idle.heed()
            assert _phase(node, user) is wanted
            await workspaces.freeze(user)


async def _inside(node: Node, user_id: str, script: str) -> None:
    argv = ["docker", "-H", node.docker_url, "exec", "-d", f"ws-u-{user_id}", "sh", "-c", script]
    await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True)


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that a program inside has taken."""
    found: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def taken() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            # The engine's proxy takes connections that nobody inside takes, and ends them.
            await asyncio.wait_for(reader.read(1), 0.3)
        except TimeoutError:
            found.append((reader, writer))
        except ConnectionError:
            writer.close()
        else:
            writer.close()
        return bool(found)

    await eventually(taken)
    return found[0]


async def _unread(node: Node, user_id: str) -> bool:
    return await node.meters.unread(user_id) > 0


def _phase(node: Node, user_id: str) -> Phase:
    found = node.services.workspaces.find(user_id)
    assert found is not None
    return found.phase
