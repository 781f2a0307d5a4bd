"""Every page, how one gets there and back, and what it reads."""

from typing import Any

import pytest

from console.app import ConsoleApp
from console.live.catalog import KEYS
from console.live.trail import Place
from console.widgets.log_pane import LogPane
from console.widgets.log_view import LogView
from console.widgets.text_lines import Details, Views
from protocol.events import DrainEvent
from protocol.jobs import JobStatus
from tests.console.conftest import Open
from tests.console.samples import NOW, ago, job
from tests.console.test_flows import painted, until
from tests.console.twin import Plane, SetClock
from tests.console.twin_books import entry


@pytest.fixture(autouse=True)
def furnished(plane: Plane) -> None:
    plane.furnish()


def panel(app: ConsoleApp) -> str:
    return str(app.main.page.panel.content)


def way(app: ConsoleApp) -> str:
    return str(app.main.query_one(Views).content)


async def test_every_view_has_a_key_and_shows_its_rows(console: Open) -> None:
    said = {
        "overview": "silent for 190 s",
        "apps": "CRASHED",
        "events": "PENDING > RUNNING",
        "drains": "3/6",
        "operations": "the node is silent",
        "webhooks": "answered 500",
        "users": "shop-frontend",
    }
    async with console((120, 40)) as (app, pilot):
        for view, words in said.items():
            await pilot.press(KEYS[view])
            assert app.main.view == view
            await until(pilot, lambda words=words: words in painted(app))  # type: ignore[misc]


async def test_the_overview_tells_what_to_do_and_leads_there(console: Open) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("0")
        await until(pilot, lambda: "1 result of a job was given up" in painted(app))
        assert "2 wait" in panel(app) and "oldest" in panel(app)
        assert "1 duty held by deploy-1" in panel(app)
        assert "least room 12 % on rt-node-02" in panel(app)
        assert "To do:" in str(app.main.query_one(Details).content)
        await pilot.press("slash", *"rt-node-04", "enter", "enter")
        assert app.main.page.place == Place("node", "4")


async def test_one_leads_into_a_node_its_app_and_its_job_and_out_again(console: Open) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("2", "enter")
        assert app.main.page.place == Place("node", "1")
        await until(pilot, lambda: "180 MB" in painted(app))
        assert "every app has a place to go" in panel(app)
        assert "rt-node-01" in way(app) and "Nodes" in way(app)
        await pilot.press("down", "enter")
        assert app.main.page.place == Place("app", "20007")
        await until(pilot, lambda: "CURRENT" in painted(app))
        assert "RUNNING" in panel(app) and "12%" in panel(app) and "5d52ab10 38s" in panel(app)
        await pilot.press("enter")
        assert app.main.view == "job"
        await until(pilot, lambda: isinstance(app.focused, LogView))
        assert "Esc out" in way(app)
        await pilot.press("enter")
        assert app.focused is app.main.table, "from the log to the stages"
        await pilot.press("enter", "escape")
        assert app.main.view == "app"
        await pilot.press("slash", "3", "enter")
        await until(pilot, lambda: "Esc clears the filter" in way(app))
        await pilot.press("escape")
        assert app.main.view == "app" and "Esc out" in way(app)
        await pilot.press("escape")
        assert app.main.page.place == Place("node", "1")
        assert app.main.table.cursor.target == "20007", "a page keeps its cursor"
        await pilot.press("escape", "escape")
        assert app.main.view == "nodes"
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert app.main.page.place == Place("app", "20007")
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert app.main.view == "jobs", "before the first page there is none"


async def test_a_page_keeps_its_filter_order_and_cursor(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("slash", *"app:20", "enter", "s", "r", "home", "down")
        before = (app.main.words, app.main.table.table.arrangement.order, app.main.table.cursor.target)
        assert before[0] == "app:20"
        await pilot.press("2")
        assert app.main.words == "", "another view has a filter of its own"
        await pilot.press("slash", *"node-02", "enter", "1")
        assert (app.main.words, app.main.table.table.arrangement.order, app.main.table.cursor.target) == before
        assert app.main.table.table.arrangement.reverse
        await pilot.press("2")
        assert app.main.words == "node-02"


async def test_a_jobs_page_has_its_stages_and_its_log_and_can_be_cancelled(console: Open, plane: Plane) -> None:
    plane.logs["7c1e09aa-11d0"] = b"cloning\n"
    async with console((120, 40)) as (app, pilot):
        await pilot.press("down", "down", "enter")
        assert app.main.page.place == Place("job", "7c1e09aa-11d0")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: pane.display)
        assert "step 4 of 7: npm ci" in panel(app)
        assert "No stage yet" in painted(app)
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: ("cancel", "7c1e09aa-11d0") in plane.calls)
        await until(pilot, lambda: "CANCELLED" in panel(app))
        await pilot.press("escape")
        assert app.main.view == "jobs" and not pane.display


async def test_the_line_and_how_long_it_takes_yet(console: Open, plane: Plane) -> None:
    for number, seconds in enumerate((30, 40, 50, 60, 200)):
        done: dict[str, Any] = {"started_at": ago(5_000), "finished_at": ago(5_000 - seconds), "attempt": 1}
        plane.state = plane.state.model_copy(
            update={
                "jobs": (
                    *plane.state.jobs,
                    job(f"past-{number}", status=JobStatus.SUCCEEDED, created=ago(5_001), **done),
                )
            }
        )
    async with console((160, 40)) as (app, _):
        shown = painted(app)
        assert "#1 of 2" in shown and "#2 of 2" in shown
        assert "<2m33s" in shown, "it has run for 47 s of at most 200 s, and longer than the quickest"


async def test_what_is_fetched_is_kept_up_by_the_stream(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "3/6" in painted(app))
        changed = plane.plans[0].model_copy(update={"summary": "all moved"})
        plane.state = plane.state.model_copy(update={"seq": 101})
        plane._send(DrainEvent(seq=101, at=NOW, change="DONE", actor="drains", drain=changed))
        await until(pilot, lambda: "all moved" in painted(app))
        await pilot.press("6")
        await until(pilot, lambda: "drains" in painted(app) and "DONE" in painted(app))


async def test_the_end_of_the_events_leads_to_older_ones(console: Open, plane: Plane) -> None:
    plane.entries = tuple(entry(300 - number) for number in range(300))
    plane.page_size = 50
    async with console((120, 40)) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: len(app.main.table.table) == 50)
        await pilot.press("end")
        await until(pilot, lambda: len(app.main.table.table) == 100)
        await pilot.press("end")
        await until(pilot, lambda: len(app.main.table.table) == 150)
        assert [cursor for what, cursor in plane.asked if what == "audit"] == [None, "251", "201"]


async def test_a_failed_reading_says_what_to_do_and_is_tried_again(
    console: Open, plane: Plane, clock: SetClock
) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "3/6" in painted(app))
        plane.down = True
        clock.seconds += 20
        await until(pilot, lambda: "check that the platform runs" in panel(app))
        assert "3/6" in painted(app), "what was read stays"
        plane.down = False
        clock.seconds += 20
        await until(pilot, lambda: "read" in panel(app) and "check" not in panel(app))


async def test_only_what_the_shown_page_needs_is_read(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console() as (app, pilot):
        await pilot.press("6", "5")
        await until(pilot, lambda: "CRASHED" in painted(app))
        reads = len(plane.asked)
        await pilot.press("1")
        clock.seconds += 1000
        await pilot.pause()
        assert [library._next() for library in app._libraries.values()] == [[]]
        assert len(plane.asked) == reads


async def test_users_drains_and_runners_lead_to_their_own_rows(console: Open) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("4", "enter")
        assert app.main.page.place == Place("runner", "build-a")
        await until(pilot, lambda: "7c1e09aa" in painted(app))
        assert "91b0d4c2" not in painted(app)
        await pilot.press("7")
        await until(pilot, lambda: "3/6" in painted(app))
        await pilot.press("home", "enter")
        await until(pilot, lambda: "2 move at a time" in painted(app))
        await pilot.press("U", "enter")
        assert app.main.view == "user"
        await pilot.press("escape")
        assert app.main.view == "users"
