"""Logs of several control planes: each is read where its job is."""

from functools import partial

import pytest

from console.app import ConsoleApp
from console.widgets.log_pane import LogPane
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
