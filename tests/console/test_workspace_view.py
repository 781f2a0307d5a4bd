"""Workspaces in the console: what is shown of them, and what an operator does with them, key by key."""

from collections.abc import Callable

import pytest
from textual.widgets import Static

from console.app import ConsoleApp
from console.live.actions.spec import Permit
from console.widgets.choose import Choose
from console.widgets.confirm import Confirm
from console.widgets.text_lines import Details, Headline, Status
from protocol.client.transport import Unreachable
from tests.console.conftest import Open
from tests.console.test_flows import painted, until, words
from tests.console.twin import Plane, SetClock


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.furnish()
    return plane


@pytest.fixture
def guarded(plane: Plane, clock: SetClock) -> Callable[[Permit], ConsoleApp]:
    return lambda permit: ConsoleApp(plane, "127.0.0.1:7002", clock, permits={"": permit})


async def test_each_workspace_is_a_row_with_what_it_uses_and_why(console: Open) -> None:
    async with console((240, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        first = painted(app)
        assert "✓ RUNNING" in first and "* FROZEN" in first and "○ EXITED" in first and "? UNKNOWN" in first
        assert "20001 DEV RUNNING" in first and "2 terminals" in first
        assert "██····  29 % of 10.7 GB" in first and "██████  98 % of 10.7 GB!!" in first
        assert "moves to ws-node-02: COPYING, 1.2 GB copied" in first
        assert "does not answer" in first


async def test_the_page_of_a_workspace_says_all_and_actions_are_meant_for_it(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press("enter")
        assert app.main.page.place.view == "workspace" and app.main.page.place.subject == "1"
        await pilot.press("X")
        assert isinstance(app.screen, Confirm)
        await pilot.press("right", "enter")
        await until(pilot, lambda: ("stop_workspace", "1") in plane.calls)


async def test_a_workspace_is_stopped_started_and_moved_after_a_question(
    console: Open, plane: Plane, clock: SetClock
) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press("A")
        assert "it runs already" in words(app, Status)
        await pilot.press("X")
        assert isinstance(app.screen, Confirm)
        said = str(app.screen.query_one(".dialog-text", Static).content)
        assert "20001 DEV RUNNING" in said and "2 terminals close" in said
        await pilot.press("right", "enter")
        await until(pilot, lambda: "workspace of user 1 is EXITED" in words(app, Status))
        clock.seconds += 6
        await until(pilot, lambda: "○ EXITED" in painted(app).splitlines()[1])
        await pilot.press("A", "right", "enter")
        await until(pilot, lambda: "workspace of user 1 runs on ws-node-01" in words(app, Status))
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "goes to ws-node-02" in words(app, Status))
        assert plane.calls == [("stop_workspace", "1"), ("start_workspace", "1"), ("start_move", "1", "None")]


async def test_who_is_on_the_way_is_not_sent_again(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "moves to" in painted(app))
        await pilot.press("down", "down", "M")
        assert "moves to ws-node-02" in words(app, Status) and plane.calls == []


async def test_several_are_stopped_together(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press("space", "space", "X", "right", "enter")
        await until(pilot, lambda: len(plane.calls) == 2)
        assert plane.calls == [("stop_workspace", "1"), ("stop_workspace", "2")]
        await until(pilot, lambda: "Done for 2 workspaces" in words(app, Status))


async def test_workspace_nodes_are_cordoned_and_drained(console: Open, plane: Plane) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("H")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        assert "! CORDONED" in painted(app) and "12%" in painted(app) and "? STALE" in painted(app)
        await pilot.press("I")
        assert "it takes new users already" in words(app, Status)
        await pilot.press("O", "right", "enter")
        await until(pilot, lambda: ("cordon", "1", "True") in plane.calls)
        await pilot.press("E")
        assert "3 users move to other nodes" in str(app.screen.query_one(".dialog-text", Static).content)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "3 users move away" in words(app, Status))
        await pilot.press("enter")
        assert app.main.page.place.view == "workspace-node"
        assert "20001 DEV RUNNING" in painted(app)


@pytest.fixture
def production(guarded: Callable[[Permit], ConsoleApp]) -> ConsoleApp:
    return guarded(Permit(production=True))


async def test_in_production_the_user_has_to_be_typed(production: ConsoleApp, plane: Plane) -> None:
    app = production
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press("end", "up", "up", "X")
        assert isinstance(app.screen, Confirm) and "3" in app.export_screenshot()
        await pilot.press("tab", "enter")
        assert plane.calls == []


@pytest.fixture
def reading(guarded: Callable[[Permit], ConsoleApp]) -> ConsoleApp:
    return guarded(Permit(write=False))


@pytest.mark.parametrize("key", ["A", "X", "M", "e"])
async def test_a_console_that_only_reads_changes_nothing(reading: ConsoleApp, plane: Plane, key: str) -> None:
    app = reading
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press(key)
        assert "read-only" in words(app, Status) and app.screen is app.main and plane.calls == []


async def test_where_no_terminal_can_be_given_away_the_command_is_named(console: Open) -> None:
    """As in a browser: no driver that can stand aside."""
    async with console((120, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        await pilot.press("e", "right", "enter")
        await until(pilot, lambda: "funai workspaces exec 1" in words(app, Status))
        await pilot.press("down")
        await until(pilot, lambda: "user 2" in words(app, Details))


async def test_an_api_entry_that_is_gone_leaves_what_was_read_and_says_so(
    console: Open, plane: Plane, clock: SetClock
) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))

        def gone() -> None:
            raise Unreachable("http://127.0.0.1:8080 does not answer: connection refused")

        plane.houses.reached = gone
        clock.seconds += 6
        await until(pilot, lambda: "connection refused" in app.export_screenshot().replace("&#160;", " "))
        assert "✓ RUNNING" in painted(app) and "live" in words(app, Headline)


async def test_a_refusal_is_said_in_the_apis_words(console: Open, plane: Plane) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("W")
        await until(pilot, lambda: "ws-node-03" in painted(app))
        del plane.houses.lives["1"]
        await pilot.press("X", "right", "enter")
        await until(pilot, lambda: "user 1 has no workspace" in words(app, Status))
