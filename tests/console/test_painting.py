"""What is painted, and by what: the line of keys, and the widgets that something changed in."""

from collections.abc import Callable

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from console.screens.help import Help
from console.widgets.compositor import SparingCompositor
from console.widgets.keys import Keys
from tests.console.conftest import Open
from tests.console.twin import Plane


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to pass")


def shown(keys: Keys) -> str:
    return str(keys.content)


async def test_a_click_presses_the_key_that_is_shown(console: Open) -> None:
    async with console((120, 30)) as (app, pilot):
        keys = app.main.query_one(Keys)
        await until(pilot, lambda: "Help" in shown(keys))
        await pilot.click(keys, offset=(shown(keys).index("Help"), 0))
        await until(pilot, lambda: isinstance(app.screen, Help))


async def test_what_cannot_be_done_turns_grey_and_a_click_on_it_does_nothing(console: Open, plane: Plane) -> None:
    async with console((120, 30)) as (app, pilot):
        keys = app.main.query_one(Keys)
        await until(pilot, lambda: "Cancel" in shown(keys))

        def greys() -> int:
            return sum(str(span.style) == "$quiet" for span in keys.content.spans)  # type: ignore[union-attr]

        before, target = greys(), app.main.table.cursor.target
        assert target is not None
        plane.gone(target)
        await until(pilot, lambda: greys() > before)
        await pilot.click(keys, offset=(shown(keys).index("Cancel"), 0))
        await pilot.pause()
        assert app.screen is app.main


async def test_keys_that_find_no_room_are_reached_with_the_wheel(console: Open) -> None:
    async with console((60, 20)) as (app, pilot):
        keys = app.main.query_one(Keys)
        await until(pilot, lambda: "Quit" in shown(keys))
        at_first = shown(keys)
        assert len(at_first) > 60
        for _ in range(60):
            keys.post_message(events.MouseScrollDown(keys, 1, 0, 0, 1, 0, False, False, False))
        await until(pilot, lambda: len(shown(keys)) == 60)
        assert at_first.endswith(shown(keys))


class Counted(Static):
    """Knows how often it was asked for its lines."""

    asked = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += 1
        return super().render_lines(crop)


class Three(Screen[None]):
    """Three lines."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SparingCompositor()

    def compose(self) -> ComposeResult:
        yield Counted("first", id="first")
        yield Counted("second", id="second")
        yield Counted("third", id="third")


@pytest.fixture
def lines() -> App[None]:
    return App()


async def test_what_lies_between_two_changes_is_not_rendered(lines: App[None]) -> None:
    async with lines.run_test() as pilot:
        await lines.push_screen(Three())
        first, second, third = (lines.screen.query_one(f"#{name}", Counted) for name in ("first", "second", "third"))
        await until(pilot, lambda: third.asked > 0)
        await pilot.pause()
        before = [each.asked for each in (first, second, third)]
        first.update("1st", layout=False)
        third.update("3rd", layout=False)
        await until(pilot, lambda: third.asked > before[2])
        assert first.asked > before[0]
        assert second.asked == before[1]
