"""Every text of every state has a contrast of at least 4.5 to 1 on what it stands on, in every theme (WCAG 2.1)."""

from collections.abc import Iterator

import pytest
from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme

from console.app import ConsoleApp
from console.live.themes import THEMES
from tests.console.twin import Plane, SetClock

LEAST = 4.5
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
STATES = {
    "jobs": [],
    "second row": ["down"],
    "third row": ["down", "down"],
    "fourth row": ["down", "down", "down"],
    "last row": ["end"],
    "marked": ["space", "space"],
    "nodes": ["2"],
    "second node": ["2", "down"],
    "third node": ["2", "down", "down"],
    "fourth node": ["2", "end"],
    "placements": ["3"],
    "runners": ["4"],
    "last runner": ["4", "end"],
    "log": ["enter"],
    "typing": ["slash"],
    "filtered": ["slash", "f"],
    "nothing": ["slash", "y", "y", "y"],
    "help": ["question_mark"],
    "deploy": ["n"],
    "deploy button": ["n", "shift+tab"],
    "refused": ["n", "ctrl+d"],
    "drain": ["2", "d"],
    "drain yes": ["2", "d", "right"],
}
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
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if segment.style is not None and any(each.isalnum() for each in segment.text):
                yield segment


def pale(app: ConsoleApp) -> list[str]:
    return [
        f"{contrast(each.style):.2f} {each.text.strip()!r} {each.style}"
        for each in texts(app)
        if each.style is not None and contrast(each.style) < LEAST
    ]


@pytest.mark.parametrize("theme", THEMES)
async def test_everything_can_be_read(theme: str) -> None:
    found: list[str] = []
    for state, keys in STATES.items():
        plane = Plane()
        plane.logs["7c1e09aa-11d0"] = b"cloning\n"
        app = ConsoleApp(plane, "127.0.0.1:7002", SetClock(), look=theme)
        async with app.run_test(size=(120, 40)) as pilot:
            await plane.watched.wait()
            await pilot.pause()
            await pilot.press(*keys)
            await pilot.pause()
            found += [f"{state}: {each}" for each in pale(app)]
    assert not found, "\n" + "\n".join(sorted(set(found)))


@pytest.mark.parametrize("theme", THEMES)
async def test_what_is_out_of_date_can_be_read(theme: str) -> None:
    plane, clock = Plane(), SetClock()
    app = ConsoleApp(plane, "127.0.0.1:7002", clock, look=theme)
    found: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        clock.seconds += 37
        for keys in ([], ["down"], ["2"], ["down"], ["3"], ["4"]):
            await pilot.press(*keys)
            app.main.draw()
            app.main.say("something failed", problem=True)
            await pilot.pause()
            found += pale(app)
    assert not found, "\n" + "\n".join(sorted(set(found)))
