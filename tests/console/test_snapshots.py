"""Every view as a picture, at both sizes; the clock stands still. Accepted by eye, renewed by --snapshot-update."""

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from tests.console.twin import Plane, SetClock

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
KEYS = {
    "jobs": [],
    "nodes": ["2"],
    "placements": ["3"],
    "runners": ["4"],
    "log": ["down", "down", "enter"],
    "filter": ["slash", "f", "a", "i", "l"],
    "help": ["question_mark"],
    "deploy": ["n"],
    "cordon": ["2", "o"],
    "palette": ["colon", "c", "a", "n"],
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", KEYS)
def test_looks(name: str, size: str, snap_compare: Callable[..., bool]) -> None:
    plane = Plane()
    plane.logs["7c1e09aa-11d0"] = b"cloning\nStep 1/7 : FROM node:20\nStep 2/7 : RUN npm ci\n"
    app = ConsoleApp(plane, "127.0.0.1:7002", SetClock())

    async def before(pilot: Pilot[None]) -> None:
        await plane.watched.wait()
        await pilot.pause()
        await pilot.press(*KEYS[name])
        await pilot.pause()

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize("state", ["stale", "empty", "nocolor"])
def test_states(state: str, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    plane, clock = Plane(), SetClock()
    if state == "empty":
        nothing = {"jobs": (), "nodes": (), "runners": (), "placements": (), "apps": ()}
        plane.state = plane.state.model_copy(update=nothing)
    if state == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")
    app = ConsoleApp(plane, "127.0.0.1:7002", clock)

    async def before(pilot: Pilot[None]) -> None:
        await plane.watched.wait()
        await pilot.pause()
        if state == "stale":
            clock.seconds += 37
            app.main.draw()
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
