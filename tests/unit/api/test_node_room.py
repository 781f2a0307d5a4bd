"""Room for runs on a node: exactly as many as it carries, in whatever order questions are answered."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from daemons.api.domain.capacity import Busy, NodeFull, admit
from daemons.api.domain.workspaces import Placement, WorkspaceNode
from daemons.api.ports.workspaces import CallRefused, NodeUnreachable
from daemons.api.services.node_room import NodeRoom

NODE, OTHER = WorkspaceNode(1, "ws-1", "", ""), WorkspaceNode(2, "ws-2", "", "")


class Runs:
    """A node that counts what runs on it, as a node does: from the moment when the run is there."""

    patience = 3.0

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.asked = 0
        self.failing: Exception | None = None

    async def busy(self, placement: Placement, node: WorkspaceNode) -> Busy:
        self.asked += 1
        told = Busy(len(self.running), placement.user_id in self.running)
        # The answer is on its way, and may be overtaken.
        for _ in range(placement.user_id % 7):
            await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        return told


def placed(user: int) -> Placement:
    return Placement(user, 1, 1, 0)


@pytest.mark.parametrize(
    ("busy", "user", "starting", "full"),
    [(0, False, 0, False), (2, False, 0, False), (3, False, 0, True), (2, False, 1, True), (3, True, 9, False)],
)
def test_a_node_is_full_at_its_number_but_never_for_who_runs_there(
    busy: int, user: bool, starting: int, full: bool
) -> None:
    if not full:
        admit("ws-1", Busy(busy, user), starting, 3)
        return
    with pytest.raises(NodeFull, match=r"ws-1.*3 of 3") as refusal:
        admit("ws-1", Busy(busy, user), starting, 3)
    assert refusal.value.retry_after > 0


async def test_of_many_at_once_as_many_get_in_as_there_is_room_for() -> None:
    runs = Runs()
    room = NodeRoom(runs, 5)

    async def start(user: int) -> bool:
        try:
            async with room.taken(placed(user), NODE):
                for _ in range(user % 5):
                    await asyncio.sleep(0)
                runs.running.add(user)
                return True
        except NodeFull:
            return False

    for _ in range(3):
        got_in = await asyncio.gather(*[start(user) for user in range(1, 51)])
        assert len(runs.running) == 5
        assert sum(got_in) == 5


async def test_room_is_given_back_and_is_each_node_s_own() -> None:
    runs = Runs()
    room = NodeRoom(runs, 1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(room.taken(placed(1), NODE))
        await stack.enter_async_context(room.taken(placed(2), OTHER))
        with pytest.raises(NodeFull):
            await stack.enter_async_context(room.taken(placed(3), NODE))
    with pytest.raises(LookupError):
        async with room.taken(placed(4), NODE):
            raise LookupError
    async with room.taken(placed(5), NODE):
        pass


async def test_a_silent_node_gets_no_run_and_one_that_does_not_know_the_question_does() -> None:
    runs = Runs()
    room = NodeRoom(runs, 1)
    runs.failing = NodeUnreachable("away")
    with pytest.raises(NodeUnreachable):
        async with room.taken(placed(1), NODE):
            pytest.fail("a run began on a node that nobody hears")
    runs.failing = CallRefused(404, "no such call", None)
    async with room.taken(placed(1), NODE):
        pass


async def test_without_a_limit_no_node_is_asked() -> None:
    runs = Runs()
    async with NodeRoom(runs, None).taken(placed(1), NODE):
        assert runs.asked == 0
