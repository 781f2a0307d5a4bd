"""Logs beside what else the console does: of several control planes, and under the keys of actions."""

from functools import partial

import pytest

from console.app import ConsoleApp
from console.live.actions.registry import ACTIONS
from console.live.actions.spec import shown_in
from console.widgets.log_pane import LogPane
from tests.console.conftest import Open
from tests.console.test_flows import RUNNING, until
from tests.console.twin import Plane, SetClock


@pytest.fixture
def two_places(clock: SetClock) -> ConsoleApp:
    near, far = Plane(), Plane()
    near.logs[RUNNING], far.logs[RUNNING] = b"it is near\n", b"it is far\n"
    return ConsoleApp({"near": near, "far": far}, "near far", clock)


def reads(pane: LogPane, line: str) -> bool:
    return pane.lines == (line,)


def there(app: ConsoleApp, key: str) -> bool:
    return app.main.table.table.row_of(key) is not None


async def test_a_log_is_read_where_its_job_is(two_places: ConsoleApp) -> None:
    app = two_places
    async with app.run_test(size=(120, 30)) as pilot:
        for plane in ("far", "near"):
            await until(pilot, partial(there, app, f"{plane}/{RUNNING}"))
            app.main.go_to("jobs", f"{plane}/{RUNNING}")
            await pilot.press("enter")
            pane = app.main.query_one(LogPane)
            await until(pilot, partial(reads, pane, f"it is {plane}"))
            assert f"{plane} job" in str(pane.query_one("#log-title").render())
            await pilot.press("escape", "escape")


async def test_logs_of_two_control_planes_are_one(two_places: ConsoleApp) -> None:
    app = two_places
    async with app.run_test(size=(120, 30)) as pilot:
        for plane in ("far", "near"):
            await until(pilot, partial(there, app, f"{plane}/{RUNNING}"))
            app.main.go_to("jobs", f"{plane}/{RUNNING}")
            await pilot.press("space")
        await pilot.press("l")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: len(pane.lines) == 2)
        assert {line.rpartition(" ")[2] for line in pane.lines} == {"near", "far"}
        assert {origin.plane for origin in pane.origins} == {"near", "far"}


async def test_keys_of_actions_mean_the_same_in_a_log(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"one\ntwo\n"
    async with console() as (app, pilot):
        await pilot.press("down", "down", "enter")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: pane.lines == ("one", "two"))
        assert app.focused is pane.text
        bound = {key: active.binding.action for key, active in app.screen.active_bindings.items()}
        for action in ACTIONS:
            if action.key and shown_in(action, app.main.acts_in):
                assert bound[action.key] == f"do('{action.id}')"
        await pilot.press("slash", *"two", "enter", "n")
        assert app.screen is app.main and pane.text.current == 1
