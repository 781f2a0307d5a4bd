"""Every view as a picture, at each of three sizes in each of three themes; the clock stands still.

A view is walked to once; then the terminal is resized and the theme changed, which shows what a console shows that was
started so. Accepted by eye, renewed by `pytest tests/console/test_snapshots.py --snapshot-update`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import ConsoleApp
from tests.console.twin import Plane, SetClock

SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x40": (120, 40)}
THEMES = ("dark", "light", "colour-blind")
PLACE = "127.0.0.1:7002"
#: What leads to each view and page.
VIEWS = {
    "overview": ["0"],
    "jobs": ["1"],
    "nodes": ["2"],
    "placements": ["3"],
    "runners": ["4"],
    "apps": ["5"],
    "events": ["6"],
    "drains": ["7"],
    "operations": ["8"],
    "webhooks": ["9"],
    "users": ["U"],
    "workspaces": ["W"],
    "workspace-nodes": ["H"],
    "job": ["1", "down", "down", "enter"],
    "failed-job": ["1", "down", "down", "down", "down", "enter"],
    "node": ["2", "enter"],
    "app": ["3", "enter"],
    "deletion": ["5", "slash", *"old-site", "enter", "enter"],
    "runner": ["4", "enter"],
    "drain": ["7", "enter"],
    "user": ["U", "enter"],
    "workspace": ["W", "down", "down", "enter"],
    "workspace-node": ["H", "enter"],
}
#: What lies over a view, or beside it.
OVER = {
    "log": ["1", "down", "down", "l"],
    "filter": ["1", "slash", "f", "a", "i", "l"],
    "help": ["question_mark"],
    "deploy": ["1", "n"],
    "deploy-for-owner": ["5", "n"],
    "delete-app": ["5", "D"],
    "password": ["U", "p"],
    "cordon": ["2", "o"],
    "stop-workspace": ["W", "X"],
    "migrate": ["W", "M"],
    "palette": ["colon", "c", "a", "n"],
}


def furnished() -> Plane:
    plane = Plane()
    plane.furnish()
    plane.logs["7c1e09aa-11d0"] = b"cloning\nStep 1/7 : FROM node:20\nStep 2/7 : RUN npm ci\n"
    return plane


async def walk(app: ConsoleApp, plane: Plane, pilot: Pilot[None], keys: Sequence[str]) -> None:
    """Press the keys; whatever page they lead to is read before the next one."""
    await plane.watched.wait()
    for key in ("", *keys):
        if key:
            await pilot.press(key)
        async with asyncio.timeout(60):
            while not (app.main.page.ready and app.main.page.read(app.main.world)):
                await pilot.pause(0.01)
    await pilot.pause()


class Taken(App[str]):
    """What `snap_compare` runs for a picture that was taken already: it compares, renews and reports it."""

    def __init__(self, picture: str) -> None:
        super().__init__()
        self._picture = picture

    def run(self, *_: Any, **__: Any) -> str:
        """The picture."""
        return self._picture


@cache
def pictures(name: str) -> Mapping[tuple[str, str], str]:
    """The view by size and theme, of one console whose terminal and theme change."""
    plane = furnished()
    app = ConsoleApp(plane, PLACE, SetClock())
    taken: dict[tuple[str, str], str] = {}

    async def take(pilot: Pilot[Any]) -> None:
        await walk(app, plane, pilot, (VIEWS | OVER)[name])
        for field in app.screen.query(Input):
            # Else it depends on the moment whether its cursor is in the picture.
            field.cursor_blink = False
        for theme, size in product(THEMES, SIZES):
            app.theme = f"funai-{theme}"
            await pilot.resize_terminal(*SIZES[size])
            await pilot.wait_for_scheduled_animations()
            taken[size, theme] = app.export_screenshot(title=app.title, simplify=True)
        app.exit()

    app.run(headless=True, auto_pilot=take, size=SIZES["80x24"])
    return taken


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", VIEWS | OVER)
def test_looks(name: str, size: str, theme: str, snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(Taken(pictures(name)[size, theme]))


@pytest.mark.parametrize("state", ["stale", "empty", "nocolor"])
def test_states(state: str, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    plane, clock = Plane(), SetClock()
    if state == "empty":
        nothing = {"jobs": (), "nodes": (), "runners": (), "placements": (), "apps": ()}
        plane.state = plane.state.model_copy(update=nothing)
    if state == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")
    app = ConsoleApp(plane, PLACE, clock)

    async def before(pilot: Pilot[None]) -> None:
        await walk(app, plane, pilot, ["1"])
        if state == "stale":
            clock.seconds += 37
            app.main.draw()
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
