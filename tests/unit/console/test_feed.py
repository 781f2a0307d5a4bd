"""The feed never ends: it resumes after a loss with nothing lost and nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from console.live.feed import Feed, LogPiece, log_pieces, log_texts
from console.live.model import LinkState, Live
from console.live.refusals import explain, explain_change
from protocol.client.transport import ClientError, Refused, Unintelligible, Unreachable
from protocol.jobs import JobStatus
from tests.console.samples import job
from tests.console.twin import Plane, SetClock

RUNNING = "7c1e09aa-11d0"


class Watch:
    """Collects what the feed publishes and lets a test wait for it."""

    def __init__(self) -> None:
        self.seen: list[Live] = []
        self._news = asyncio.Event()

    def __call__(self, live: Live) -> None:
        self.seen.append(live)
        self._news.set()

    async def until(self, true: Callable[[Live], bool]) -> Live:
        async with asyncio.timeout(60):
            while not (self.seen and true(self.seen[-1])):
                self._news.clear()
                await self._news.wait()
        return self.seen[-1]


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def following(plane: Plane, clock: SetClock | None = None) -> AsyncIterator[Watch]:
    watch = Watch()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Feed(plane, watch, clock or SetClock(), no_pause).run())
        try:
            yield watch
        finally:
            task.cancel()


def live(value: Live) -> bool:
    return value.link.state is LinkState.LIVE


async def test_a_snapshot_then_events() -> None:
    plane = Plane()
    async with following(plane) as watch:
        await watch.until(live)
        await plane.watched.wait()
        plane.publish(job("new", status=JobStatus.PENDING))
        after = await watch.until(lambda now: now.model is not None and "new" in now.model.jobs)
        assert after.model is not None and after.model.seq == 101
    assert plane.resumed == [100]


async def test_a_lost_line_is_found_again_with_what_happened_meanwhile() -> None:
    plane = Plane()
    async with following(plane) as watch:
        await plane.watched.wait()
        plane.lose()
        lost = await watch.until(lambda now: now.link.state is LinkState.RECONNECTING)
        assert lost.model is not None
        assert lost.link.problem is not None and "does not answer" in lost.link.problem
        plane.publish(job("meanwhile"))
        plane.down = False
        back = await watch.until(live)
        assert back.model is not None and "meanwhile" in back.model.jobs
        await plane.watched.wait()
    assert plane.resumed == [100, 101]


async def test_it_waits_for_a_control_plane_that_is_not_there_yet() -> None:
    plane = Plane()
    plane.down = True
    async with following(plane) as watch:
        first = await watch.until(lambda now: now.link.state is LinkState.RECONNECTING)
        assert first.model is None
        plane.down = False
        assert (await watch.until(live)).model is not None


async def test_a_reset_takes_a_new_snapshot() -> None:
    plane = Plane()
    async with following(plane) as watch:
        await plane.watched.wait()
        plane.watched.clear()
        plane.reset()
        await watch.until(lambda now: plane.snapshots == 2 and live(now))
        await plane.watched.wait()
        assert len(plane.resumed) == 2
    assert plane.snapshots == 2


async def test_leases_are_read_again_before_they_seem_to_end() -> None:
    plane, clock = Plane(), SetClock()
    async with following(plane, clock) as watch:
        await plane.watched.wait()
        clock.seconds += 30
        plane.beat(30)
        await watch.until(lambda now: now.model is not None and now.model.snapshot_at == clock.seconds)
    assert plane.snapshots == 1
    assert len(plane.resumed) == 1


async def test_a_log_is_taken_up_where_the_line_broke() -> None:
    plane = Plane()
    plane.logs[RUNNING] = b"one\n"
    pieces = log_pieces(plane, RUNNING, pause=no_pause)
    assert await anext(pieces) == LogPiece(0, b"one\n")
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    plane.down = True
    await plane.grow(RUNNING, b"two\n")
    assert (await waiting).problem is not None
    plane.down = False
    found = [piece async for piece in _until_data(pieces)]
    assert found[-1] == LogPiece(4, b"two\n")
    await pieces.aclose()


async def _until_data(pieces: AsyncIterator[LogPiece]) -> AsyncIterator[LogPiece]:
    async for piece in pieces:
        yield piece
        if piece.data:
            return


async def test_a_log_ends_with_its_job() -> None:
    plane = Plane()
    ended = "e8f7a630-2222"
    plane.logs[ended] = b"\x1b[31mone\x1b[0m\ntwo"
    assert "".join([text async for text in log_texts(plane, ended)]) == "one\ntwo"


async def test_an_unknown_log_is_refused() -> None:
    with pytest.raises(Refused):
        await anext(log_pieces(Plane(), "unknown"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Unreachable("http://x does not answer"), "It failed: http://x does not answer; check that the platform runs."),
        (Refused(404, "there is no job x.", "not_found"), "It failed: there is no job x; look at the list again."),
        (Refused(409, "app 1 is busy; wait", "app_busy"), "It failed: app 1 is busy; wait."),
        (Refused(401, "a token is required"), "It failed: a token is required; check DEPLOY_ADMIN_TOKEN."),
        (Refused(418, "no\x1b[2J\nreally"), "It failed: no really."),
        (Unintelligible("odd"), "It failed: odd; update the console and the control plane to the same version."),
    ],
)
def test_errors_are_one_sentence(error: ClientError, sentence: str) -> None:
    assert explain(error, "It failed") == sentence


def test_a_change_without_an_answer_may_have_happened() -> None:
    assert "as far as is known" in explain_change(Unreachable("gone"), "Nothing was deployed")
