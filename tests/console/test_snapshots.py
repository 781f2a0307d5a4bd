"""Every view as a picture, at both sizes; the clock stands still. Accepted by eye, renewed by --snapshot-update."""

import asyncio
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from tests.console.twin import Plane, SetClock

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
NARROW = SIZES | {"60x20": (60, 20)}
PAGES = {
    "overview": ["0"],
    "apps": ["5"],
    "events": ["6"],
    "drains": ["7"],
    "operations": ["8"],
    "webhooks": ["9"],
    "users": ["U"],
    "job": ["down", "down", "enter"],
    "failed-job": ["down", "down", "down", "down", "enter"],
    "node": ["2", "enter"],
    "app": ["3", "enter"],
    "runner": ["4", "enter"],
    "drain": ["7", "enter"],
    "user": ["U", "enter"],
}
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


@pytest.mark.parametrize("size", NARROW)
@pytest.mark.parametrize("name", PAGES)
def test_pages(name: str, size: str, snap_compare: Callable[..., bool]) -> None:
    plane = Plane()
    plane.furnish()
    plane.logs["7c1e09aa-11d0"] = b"cloning\nStep 1/7 : FROM node:20\nStep 2/7 : RUN npm ci\n"
    app = ConsoleApp(plane, "127.0.0.1:7002", SetClock())

    async def before(pilot: Pilot[None]) -> None:
        await plane.watched.wait()
        await pilot.pause()
        for key in PAGES[name]:
            await pilot.press(key)
            async with asyncio.timeout(10):
                while not (app.main.page.ready and app.main.page.read(app.main.world)):
                    await pilot.pause(0.01)
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW[size], run_before=before)


@pytest.mark.parametrize("size", ["60x20"])
@pytest.mark.parametrize("name", ["jobs", "nodes", "placements", "runners"])
def test_narrow(name: str, size: str, snap_compare: Callable[..., bool]) -> None:
    plane = Plane()
    app = ConsoleApp(plane, "127.0.0.1:7002", SetClock())

    async def before(pilot: Pilot[None]) -> None:
        await plane.watched.wait()
        await pilot.pause()
        await pilot.press(*KEYS[name])
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW[size], run_before=before)


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
