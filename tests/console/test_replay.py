"""The console on a recording: the same picture as it was, keys that move through time, and nothing that changes."""

import asyncio
import inspect
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from console.live.actions.registry import ACTIONS
from console.live.actions.spec import shown_in
from console.live.books import Books, WorkspaceBooks
from console.live.commands import Commands, WorkspaceCommands
from console.live.feed import Source
from console.live.logs.follow import Logs
from console.live.recorder.player import Player
from console.live.recorder.recorder import Recorder
from console.live.recorder.shelf import Shelf
from console.replay import NoPlane, ReplayApp, run
from console.screens.replay import ReplayBar
from console.widgets.text_lines import Line
from protocol.client.transport import Refused
from protocol.jobs import JobStatus
from tests.console.samples import job
from tests.console.test_flows import painted, until
from tests.console.twin import Plane, SetClock


async def watched(app: ConsoleApp, plane: Plane, clock: SetClock) -> list[str]:
    """What the table of a console showed before and after a job came."""
    pictures = []
    async with app.run_test(size=(80, 24)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        pictures.append(painted(app))
        clock.seconds += 7
        plane.beat(7)
        plane.publish(job("new", status=JobStatus.PENDING))
        await until(pilot, lambda: app.main.live.model is not None and "new" in app.main.live.model.jobs)
        await pilot.pause()
        pictures.append(painted(app))
    return pictures


def bar(app: ConsoleApp) -> str:
    return str(app.main.query_one(ReplayBar).query_one("#replay-line", Line).content)


async def replayed(app: ReplayApp, pictures: list[str]) -> None:
    async with app.run_test(size=(80, 25)) as pilot:
        await until(pilot, lambda: app.main.live.model is not None and "REPLAY" in bar(app))
        await pilot.press("p")
        await until(pilot, lambda: "⏸" in bar(app))
        assert painted(app) == pictures[0]
        await forward(pilot, app)
        assert painted(app) == pictures[1]
        await pilot.press("n", "c", "2", "d", "1")
        assert app.screen is app.main
        for action in ACTIONS:
            if shown_in(action, "jobs"):
                assert "this is a recording" in (app.main.why_not(action.id) or "")
        await pilot.press("at", *"1d", "enter")
        await until(pilot, lambda: painted(app) == pictures[0])
        await pilot.press("at", *"never", "enter")
        await until(pilot, lambda: "is no time" in str(app.main.query_one("#status").render()))


async def forward(pilot: Pilot[None], app: ConsoleApp) -> None:
    for _ in range(8):
        await pilot.press("full_stop")
    await until(pilot, lambda: app.main.live.model is not None and "new" in app.main.live.model.jobs)
    await pilot.pause()


def test_a_recorded_session_looks_as_it_did(tmp_path: Path) -> None:
    shelf, plane, clock = Shelf(tmp_path / "recordings.sqlite"), Plane(), SetClock()
    recorder = Recorder(shelf, "127.0.0.1:7002")
    pictures = asyncio.run(watched(ConsoleApp(plane, "127.0.0.1:7002", clock, recorder=recorder), plane, clock))
    recorder.close()
    asyncio.run(replayed(ReplayApp(Player(shelf.reels(), shelf.read), SetClock()), pictures))


def test_several_control_planes_are_recorded_and_played_side_by_side(tmp_path: Path) -> None:
    shelf, clock = Shelf(tmp_path / "recordings.sqlite"), SetClock()
    near, far = Plane(), Plane()
    recorder = Recorder(shelf, "near far")
    asyncio.run(both_watched(ConsoleApp({"near": near, "far": far}, "near far", clock, recorder=recorder), near, far))
    recorder.close()
    asyncio.run(both_replayed(ReplayApp(Player(shelf.reels(), shelf.read), SetClock())))


async def both_watched(app: ConsoleApp, near: Plane, far: Plane) -> None:
    async with app.run_test(size=(120, 24)) as pilot:
        await near.watched.wait()
        await far.watched.wait()
        near.publish(job("one-more", status=JobStatus.PENDING))
        await until(pilot, lambda: "near/one-more" in keys(app))


def keys(app: ConsoleApp) -> set[str]:
    return set(app.main.table.table.shown())


async def both_replayed(app: ReplayApp) -> None:
    async with app.run_test(size=(120, 25)) as pilot:
        await until(pilot, lambda: "near/one-more" in keys(app))
        assert "far/7c1e09aa-11d0" in keys(app) and "far/one-more" not in keys(app)
        assert set(app.main.world.planes) == {"near", "far"}
        await pilot.press("n")
        await until(pilot, lambda: "this is a recording" in str(app.main.query_one("#status").render()))
        await pilot.press("question_mark")
        assert "Play the recording" in app.export_screenshot().replace("&#160;", " ")


def asked_of_a_plane() -> set[str]:
    """Every call that the console makes to a control plane."""
    ports = (Source, Logs, Commands, Books, WorkspaceCommands, WorkspaceBooks)
    known = {name: value for port in ports for kind in port.__mro__ for name, value in vars(kind).items()}
    return {name for name, value in known.items() if name[0] != "_" and inspect.isfunction(value)}


@pytest.mark.parametrize("name", sorted(asked_of_a_plane()))
async def test_behind_a_recording_there_is_no_control_plane(name: str) -> None:
    with pytest.raises(Refused, match="open the console without --replay"):
        answer = getattr(NoPlane(), name)("1")
        if isinstance(answer, AsyncGenerator):
            await anext(answer)
        else:
            await answer


def test_nothing_to_play_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path=tmp_path / "none.sqlite") == 1
    assert "nothing is recorded" in capsys.readouterr().err
