"""What was recorded is played as it was shown: the same values, in the same order, from any moment on."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.live.backlog import Backlog
from console.live.feed import Feed
from console.live.model import Live, World
from console.live.recorder.deck import Deck, DeckState, TapeClock
from console.live.recorder.moments import NoMoment, moment
from console.live.recorder.player import Player
from console.live.recorder.recorder import Recorder
from console.live.recorder.shelf import Piece, Shelf
from console.live.recorder.steps import Unreadable
from console.live.reduce import MOST_JOBS
from console.live.table import Table
from console.live.tape import Tape
from console.live.views.jobs import JOBS
from protocol.jobs import JobStatus
from tests.console.samples import NOW, job
from tests.console.twin import Plane, SetClock

RUNNING = "7c1e09aa-11d0"


class TickingClock(SetClock):
    """Every look is a millisecond later, so that every frame has a moment of its own."""

    def monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds


def shown(live: Live) -> object:
    """A live value, to be compared: collections are equal to themselves alone."""
    model = live.model
    if model is None:
        return live.link
    held = (dict(part) for part in (model.jobs, model.nodes, model.runners, model.placements, model.apps))
    return live.link, model.seq, model.at, model.heard_at, model.snapshot_at, *held


class Session:
    """A console that shows a twin of the control plane, recorded."""

    def __init__(self, plane: Plane, tape: Tape, clock: SetClock, most_jobs: int = MOST_JOBS) -> None:
        self.seen: list[tuple[float, object]] = []
        self._plane = plane
        self._clock = clock
        self._news = asyncio.Event()
        self._feed = Feed(plane, self._show, clock, self._pause, most_jobs, tape)

    def _show(self, live: Live) -> None:
        if live.model is not None:
            self.seen.append((self._clock.seconds, shown(live)))
        self._news.set()

    async def _pause(self, _: float) -> None:
        await asyncio.sleep(0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._feed.run())
            try:
                async with asyncio.timeout(60):
                    await self._plane.watched.wait()
                    yield
            finally:
                task.cancel()

    async def more(self) -> None:
        count = len(self.seen)
        while len(self.seen) == count:
            self._news.clear()
            await self._news.wait()


async def act(plane: Plane, session: Session, clock: SetClock, what: str, number: int) -> None:
    """One thing that happens to a control plane, until the console shows it."""
    clock.seconds += 1.5
    if what == "lost":
        plane.lose()
        await session.more()
        plane.down = False
        await plane.watched.wait()
        return
    if what == "beat":
        plane.beat(5)
    elif what == "reset":
        plane.watched.clear()
        plane.reset()
    elif what == "new":
        plane.publish(job(f"new-{number}", app=str(number)))
    else:
        known = next(each for each in plane.state.jobs if each.id == RUNNING)
        plane.publish(known.model_copy(update={"status": list(JobStatus)[number % 5], "error_message": "x\u2028y\n"}))
    await session.more()
    await plane.watched.wait()


async def recorded(folder: Path, happens: list[str], *, most_jobs: int = MOST_JOBS) -> tuple[Shelf, Session]:
    shelf = Shelf(folder / "r.sqlite")
    plane, clock = Plane(), TickingClock()
    recorder = Recorder(shelf, "127.0.0.1:7002")
    session = Session(plane, recorder.tape(""), clock, most_jobs)
    async with session.open():
        for number, what in enumerate(happens):
            await act(plane, session, clock, what, number)
    await asyncio.to_thread(recorder.close)
    assert recorder.problem is None
    return shelf, session


@given(st.lists(st.sampled_from(["new", "status", "beat", "reset", "lost"]), max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_recording_shows_what_was_shown(happens: list[str]) -> None:
    with TemporaryDirectory() as folder:
        shelf, session = asyncio.run(recorded(Path(folder), happens))
        player = Player(shelf.reels(), shelf.read)
        first, last = player.bounds
        played = [(player.position, shown(player.tracks[""].live))]
        while player.position < last:
            player.frame(1)
            played.append((player.position, shown(player.tracks[""].live)))
        assert [value for _, value in played] == [value for _, value in session.seen]
        for place in range(len(played) - 1, 0, -1):
            player.frame(-1)
            assert (player.position, shown(player.tracks[""].live)) == played[place - 1]
        for position, value in played:
            player.seek(position)
            assert shown(player.tracks[""].live) == value
        assert first == played[0][0]


def test_a_recording_holds_no_more_jobs_than_the_console_did(tmp_path: Path) -> None:
    shelf, session = asyncio.run(recorded(tmp_path, ["new", "status", "status"], most_jobs=3))
    player = Player(shelf.reels(), shelf.read)
    player.seek(player.bounds[1])
    live = player.tracks[""].live
    assert shown(live) == session.seen[-1][1]
    assert live.model is not None and len(live.model.jobs) < len(Plane().state.jobs)


def test_a_table_and_figures_follow_a_recording_that_is_wound_back(tmp_path: Path) -> None:
    shelf, _ = asyncio.run(recorded(tmp_path, ["new", "new", "status", "new"]))
    player, table, backlog = Player(shelf.reels(), shelf.read), Table(JOBS), Backlog()
    first, last = player.bounds
    for position in (last, first, last, (first + last) / 2, first):
        player.seek(position)
        live = player.tracks[""].live
        assert live.model is not None
        table.follow(World().with_plane("", live), position)
        backlog.follow(live.model.jobs)
        assert set(table.shown()) == set(live.model.jobs)
        assert backlog.waiting == sum(each.status is JobStatus.PENDING for each in live.model.jobs.values())


async def both(folder: Path) -> None:
    await asyncio.gather(recorded(folder, ["new", "beat"]), recorded(folder, ["status"]))


def test_two_consoles_record_in_one_file_that_is_nobody_elses(tmp_path: Path) -> None:
    asyncio.run(both(tmp_path))
    shelf = Shelf(tmp_path / "r.sqlite")
    assert len({info.session for info in shelf.reels()}) == 2
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "r.sqlite",)} == {0o600}


def test_the_file_stays_within_its_bound_and_the_oldest_go(tmp_path: Path) -> None:
    most = 16 * 1024 * 1024
    shelf, dice = Shelf(tmp_path / "r.sqlite", most), random.Random(7)
    with shelf.open() as file:
        for reel in range(50):
            noise = dice.randbytes(400_000)
            shelf.put(file, Piece("s", "p", "", reel, reel, reel + 1, reel, reel + 1, noise))
            shelf.prune(file)
    kept = [info.reel for info in shelf.reels()]
    assert kept == list(range(kept[0], 50)) and kept[0] > 0
    assert shelf.path.stat().st_size <= most


def test_what_is_older_than_two_days_goes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "r.sqlite")
    with shelf.open() as file:
        shelf.put(file, Piece("s", "p", "", 1, 0, 1, 0, 1, b"old"))
        file.execute("UPDATE pieces SET written = written - 49 * 3600")
        shelf.put(file, Piece("s", "p", "", 2, 0, 1, 0, 1, b"new"))
        shelf.prune(file)
    assert [info.reel for info in shelf.reels()] == [2]


async def test_a_console_goes_on_when_nothing_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_bytes(b"this is no database" * 100)
    recorder = Recorder(Shelf(tmp_path / "r.sqlite"), "p")
    session = Session(plane := Plane(), recorder.tape(""), clock := TickingClock())
    async with session.open():
        await act(plane, session, clock, "new", 1)
    await asyncio.to_thread(recorder.close)
    assert recorder.problem is not None and "nothing is recorded any more" in recorder.problem


def test_a_damaged_recording_is_said(tmp_path: Path) -> None:
    shelf, _ = asyncio.run(recorded(tmp_path, ["new"]))
    with shelf.open() as file:
        file.execute("UPDATE pieces SET data = x'00'")
    with pytest.raises(Unreadable):
        Player(shelf.reels(), shelf.read)


def test_a_deck_plays_at_its_speed_and_the_clock_is_the_recordings(tmp_path: Path) -> None:
    shelf, session = asyncio.run(recorded(tmp_path, ["new", "beat", "status", "new"]))
    asyncio.run(played(Player(shelf.reels(), shelf.read), session))


async def played(player: Player, session: Session) -> None:
    real, clock = SetClock(0), TapeClock()
    seen: list[tuple[World, DeckState]] = []

    async def pause(_: float) -> None:
        real.seconds += 0.05
        await asyncio.sleep(0)

    def show(world: World, state: DeckState) -> None:
        seen.append((world, state))
        if state.share == 1 and not state.playing:
            over.set()

    over = asyncio.Event()
    deck = Deck(player, clock, show, real, pause)
    first, last = player.bounds
    async with asyncio.TaskGroup() as group:
        running = group.create_task(deck.run())
        await deck.faster(1)
        async with asyncio.timeout(60):
            await over.wait()
        running.cancel()
    assert (last - first) / 2 - 0.2 <= real.seconds
    assert clock.position == last
    assert shown(seen[-1][0].planes[""]) == session.seen[-1][1]
    assert abs(seen[0][1].at - NOW.timestamp()) < 1
    await deck.seek_share(0)
    assert shown(seen[-1][0].planes[""]) == session.seen[0][1]


def test_the_times_that_can_be_named() -> None:
    newest = datetime(2026, 5, 2, 14, 0, tzinfo=UTC)
    assert moment("13:30", newest) == datetime(2026, 5, 2, 13, 30, tzinfo=UTC)
    assert moment("14:30:05", newest) == datetime(2026, 5, 1, 14, 30, 5, tzinfo=UTC)
    assert moment("2026-05-01T10:00+02:00", newest) == datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
    assert moment("90m", newest) == moment("-90m", newest) == datetime(2026, 5, 2, 12, 30, tzinfo=UTC)
    for wrong in ("", "25:00", "yesterday", "1"):
        with pytest.raises(NoMoment):
            moment(wrong, newest)


def test_nothing_recorded_is_nothing_to_play(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "none" / "r.sqlite")
    assert shelf.reels() == () and not Player((), shelf.read).session
    assert not shelf.path.parent.exists()
