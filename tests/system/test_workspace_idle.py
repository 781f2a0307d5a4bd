"""A real workspace sleeps when nobody uses it, and not while it computes."""

import asyncio
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


def _phase(node: Node, user_id: str) -> Phase:
    found = node.services.workspaces.find(user_id)
    assert found is not None
    return found.phase
