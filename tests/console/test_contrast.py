"""Every text of every state has a contrast of at least 4.5 to 1 on what it stands on, in every theme (WCAG 2.1)."""

from collections.abc import Iterator, Sequence

import pytest
from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.pilot import Pilot
from textual.widgets import Button, Input

from console.app import ConsoleApp
from console.live.actions.spec import Permit
from console.live.catalog import KEYS
from console.live.themes import DARK, THEMES, look_of
from tests.console.test_flows import until
from tests.console.twin import Plane, SetClock

LEAST = 4.5
#: Into so many tests the states are dealt out.
_PARTS = 4
#: What xterm shows; for themes that leave the sixteen colours to the terminal.
XTERM = TerminalTheme(
    (0, 0, 0),
    (229, 229, 229),
    [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)],
    [
        (127, 127, 127),
        (255, 0, 0),
        (0, 255, 0),
        (255, 255, 0),
        (92, 92, 255),
        (255, 0, 255),
        (0, 255, 255),
        (255, 255, 255),
    ],
)
STATES = list(
    {
        "overview": ["0"],
        "second alert": ["0", "down"],
        "jobs": ["1"],
        "second row": ["1", "down"],
        "third row": ["1", "down", "down"],
        "fourth row": ["1", "down", "down", "down"],
        "last row": ["1", "end"],
        "marked": ["1", "space", "space"],
        "nodes": ["2"],
        "second node": ["2", "down"],
        "third node": ["2", "down", "down"],
        "fourth node": ["2", "end"],
        "placements": ["3"],
        "runners": ["4"],
        "last runner": ["4", "end"],
        "apps": ["5"],
        "second app": ["5", "down"],
        "fifth app": ["5", "down", "down", "down", "down"],
        "deploying for an owner": ["5", "n"],
        "third user": ["U", "down", "down"],
        "a password": ["U", "p"],
        "a new account": ["U", "c"],
        "events": ["6"],
        "drains": ["7"],
        "operations": ["8"],
        "webhooks": ["9"],
        "users": ["U"],
        "workspaces": ["W"],
        "second workspace": ["W", "down"],
        "third workspace": ["W", "down", "down"],
        "last workspace": ["W", "end"],
        "workspace": ["W", "enter"],
        "workspace nodes": ["H"],
        "second workspace node": ["H", "down"],
        "last workspace node": ["H", "end"],
        "workspace node": ["H", "enter"],
        "terminal": ["W", "e"],
        "stop a workspace": ["W", "X"],
        "workspace that is full": ["W", "down", "down", "enter"],
        "workspace of a silent node": ["W", "end", "enter"],
        "node that takes no users": ["H", "down", "enter"],
        "node of workspaces that is silent": ["H", "end", "enter"],
        "migrate a workspace": ["W", "M"],
        "cordon a workspace node": ["H", "O"],
        "drain a workspace node": ["H", "E"],
        "job": ["1", "enter"],
        "job that failed": ["1", "end", "enter"],
        "node": ["2", "enter"],
        "node that is silent": ["2", "end", "enter"],
        "app": ["3", "enter"],
        "app that is deleted": ["5", "slash", *"old-site", "enter", "enter"],
        "deleting an app": ["5", "D", "right"],
        "runner": ["4", "enter"],
        "drain": ["7", "enter"],
        "user": ["U", "enter"],
        "log": ["1", "l"],
        "typing": ["1", "slash"],
        "filtered": ["1", "slash", "f"],
        "nothing": ["1", "slash", "y", "y", "y"],
        "help": ["question_mark"],
        "palette": ["colon"],
        "palette found": ["colon", "c", "a", "n", "down"],
        "deploy": ["n"],
        "deploy button": ["n", "shift+tab"],
        "refused": ["n", "ctrl+d"],
        "cordon": ["2", "o"],
        "cordon yes": ["2", "o", "right"],
        "drain a node": ["2", "d"],
        "roll back": ["3", "b"],
        "reassign": ["3", "m"],
        "cannot be done": ["2", "u"],
    }.items()
)
Triplet = tuple[int, int, int]


def triplet(color: Color | None, *, back: bool) -> Triplet:
    if color is None or color.type is ColorType.DEFAULT:
        return XTERM.background_color if back else XTERM.foreground_color
    return color.get_truecolor(XTERM)


def luminance(color: Triplet) -> float:
    parts = [each / 255 for each in color]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(style: Style) -> float:
    front, back = triplet(style.color, back=False), triplet(style.bgcolor, back=True)
    if style.reverse:
        front, back = back, front
    if style.dim:
        blended = [round(b + (f - b) * 0.66) for f, b in zip(front, back, strict=True)]
        front = blended[0], blended[1], blended[2]
    high, low = sorted((luminance(front), luminance(back)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def texts(app: ConsoleApp) -> Iterator[Segment]:
    """What is drawn: of a dialog itself alone, for what lies under it cannot be used now (WCAG: inactive)."""
    screen = app.screen
    shown = screen.region if screen is app.main else screen.query_one(".dialog").region
    for y, strip in enumerate(screen._compositor.render_strips()):
        if shown.y <= y < shown.bottom:
            for segment in strip.crop(shown.x, shown.right):
                if segment.style is not None and any(each.isalnum() for each in segment.text):
                    yield segment


def pale(app: ConsoleApp) -> list[str]:
    return [
        f"{contrast(each.style):.2f} {each.text.strip()!r} {each.style}"
        for each in texts(app)
        if each.style is not None and contrast(each.style) < LEAST
    ]


Made = tuple[ConsoleApp, Plane, SetClock]


@pytest.fixture(params=THEMES)
def console(request: pytest.FixtureRequest) -> Made:
    """Made here: it reads its style sheet, and no test may block its loop."""
    plane, clock = Plane(), SetClock()
    plane.furnish()
    plane.logs["7c1e09aa-11d0"] = b"cloning\n"
    permits = {"": Permit(production=True)}
    return ConsoleApp(plane, "127.0.0.1:7002", clock, look=request.param, permits=permits), plane, clock


async def press(pilot: Pilot[None], app: ConsoleApp, keys: Sequence[str]) -> None:
    """One key after another, each when what the page before it needs was read."""
    for key in keys:
        await pilot.press(key)
        await until(pilot, lambda: app.main.page.ready and app.main.page.read(app.main.world))
    await pilot.pause()
    await pilot.pause()


async def leave(pilot: Pilot[None], app: ConsoleApp) -> None:
    """Back to the main screen, without marks, filter and log."""
    while app.screen is not app.main:
        await app.pop_screen()
    app.main.query_one("#filter", Input).value = ""
    app.main.show_log(shown=False)
    app.main.say("")
    await pilot.press("escape", "1", "home", *(["minus"] if app.main.table.marks.keys else []))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
async def test_everything_can_be_read(console: Made, part: int) -> None:
    app, plane, _ = console
    found: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        for state, keys in STATES[part::_PARTS]:
            await press(pilot, app, keys)
            found += [f"{state}: {each}" for each in pale(app)]
            await leave(pilot, app)
    assert not found, "\n" + "\n".join(sorted(set(found)))


async def test_what_is_out_of_date_can_be_read(console: Made) -> None:
    app, plane, clock = console
    found: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        clock.seconds += 37
        for view, keys in ((view, keys) for view in KEYS.values() for keys in ([], ["down"])):
            await press(pilot, app, [view, *keys])
            app.main.draw()
            app.main.say("something failed", problem=True)
            await pilot.pause()
            found += [f"{view}: {each}" for each in pale(app)]
    assert not found, "\n" + "\n".join(sorted(set(found)))


async def test_what_is_gone_can_be_read(console: Made) -> None:
    app, plane, _ = console
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        chosen = app.main.table.cursor.key
        assert chosen is not None
        plane.gone(chosen)
        await until(pilot, lambda: app.main.table.ghost is not None)
        await pilot.pause()
        assert pale(app) == []


async def test_what_a_button_does_is_seen_with_colours_and_without(console: Made) -> None:
    """Nothing, what was asked for, and what takes something away: three colours, and three signs."""
    app, plane, _ = console
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        await press(pilot, app, ["1", "c"])
        app.screen.query_one("#typed", Input).value = "20001"
        await pilot.pause()
        looks = {"destroy": look(app, "yes")}
        await leave(pilot, app)
        await press(pilot, app, ["2", "o"])
        looks["do"] = look(app, "yes")
        await press(pilot, app, ["right"])
        looks["back"] = look(app, "no")
        assert len({colours for colours, _ in looks.values()}) == 3, looks
        assert {kind: words[0] for kind, (_, words) in looks.items()} == {"destroy": "!", "do": "»", "back": "C"}


def look(app: ConsoleApp, name: str) -> tuple[tuple[Triplet, Triplet], str]:
    """The colours and the words of a button that has not the focus."""
    button = app.screen.query_one(f"#{name}", Button)
    assert not button.has_focus and not button.disabled
    style = button.rich_style
    return (triplet(style.color, back=False), triplet(style.bgcolor, back=True)), str(button.label)


def test_a_theme_that_is_not_known_keeps_nobody_out() -> None:
    assert (look_of(None), look_of("pink"), look_of("light")) == (DARK, DARK, "light")
