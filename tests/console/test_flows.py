"""What an operator does, key by key, on the control plane's twin."""

import asyncio
import random
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from console.app import ConsoleApp
from console.screens.deploy_form import DeployForm
from console.screens.help import Help
from console.widgets.confirm import Confirm
from console.widgets.live_table import LiveTable
from console.widgets.log_pane import LogPane
from console.widgets.text_lines import Details, Headline, Status, Views
from protocol.client.transport import Refused
from protocol.jobs import JobStatus
from tests.console.conftest import Open
from tests.console.samples import ago, job
from tests.console.twin import Plane, SetClock

PENDING, RUNNING = "91b0d4c2-77aa", "7c1e09aa-11d0"


def words(app: ConsoleApp, kind: type[Headline] | type[Status] | type[Details] | type[Views]) -> str:
    return str(app.main.query_one(kind).content)


def painted(app: ConsoleApp) -> str:
    table = app.main.table
    return "\n".join(table.render_line(y).text for y in range(table.size.height))


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await pilot.pause()


async def test_the_headline_and_every_view_show_the_platform(console: Open) -> None:
    async with console() as (app, pilot):
        assert "● live" in words(app, Headline)
        assert "1 running" in words(app, Headline)
        for number, (view, said) in enumerate(
            {
                "jobs": "npm ci",
                "nodes": "███│██│███████········  62%",
                "placements": "rt-node-01",
                "runners": "7c1e09aa lease 21s",
            }.items(),
            start=1,
        ):
            await pilot.press(str(number))
            assert app.main.view == view
            assert said in painted(app)
        await pilot.press("tab")
        assert app.main.view == "apps"
        await pilot.press("shift+tab")
        assert app.main.view == "runners"


async def test_the_cursor_stays_on_its_job_when_others_arrive(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("down", "down")
        assert app.main.table.cursor.target == RUNNING
        for number in range(40):
            plane.publish(job(f"new-{number:04}", app=str(number)))
        await until(pilot, lambda: len(app.main.live.model.jobs) == 46 if app.main.live.model else False)
        await pilot.pause()
        assert app.main.table.cursor.target == RUNNING
        lines = painted(app).splitlines()
        assert [line for line in lines if line.startswith("▸")] == [line for line in lines if "7c1e09aa" in line]
        assert RUNNING in words(app, Details)


async def test_cancel_asks_first_and_the_harmless_answer_is_focused(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("c")
        assert isinstance(app.screen, Confirm)
        assert isinstance(app.focused, Button) and app.focused.id == "no"
        await pilot.press("enter")
        assert plane.calls == []
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: plane.calls == [("cancel", PENDING)])
        await until(pilot, lambda: "is CANCELLED" in words(app, Status))


async def test_an_answer_is_for_the_job_that_was_asked_about(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("c")
        plane.publish(job("newest-of-all", app="20009"))
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: plane.calls == [("cancel", PENDING)])
        assert app.main.table.cursor.target == PENDING


async def test_an_ended_job_cannot_be_cancelled(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("end", "c")
        assert app.screen is app.main
        assert app.main.check_action("do", ("job.cancel",)) is None


async def test_cordon_and_uncordon(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("o")
        assert app.screen is app.main, "cordon is for nodes"
        await pilot.press("2", "o")
        assert isinstance(app.screen, Confirm)
        await pilot.press("escape", "o", "right", "enter")
        await until(pilot, lambda: plane.calls == [("set_enabled", "rt-node-01", "False")])
        await until(pilot, lambda: "DISABLED" in painted(app))
        await pilot.press("u", "right", "enter")
        await until(pilot, lambda: plane.calls[-1] == ("set_enabled", "rt-node-01", "True"))


async def test_filter_and_clear(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("slash", *"failed npm", "enter")
        assert "e8f7a630" in painted(app)
        assert "5d52ab10" not in painted(app)
        assert app.main.table.cursor.gone, "what is not shown is not selected"
        assert app.main.check_action("do", ("job.cancel",)) is None
        await pilot.press("down")
        assert app.main.table.cursor.target == "e8f7a630-2222"
        await pilot.press("escape")
        assert "5d52ab10" in painted(app)
        assert app.main.table.cursor.target == "e8f7a630-2222"
        await pilot.press("slash", *"zzz", "enter")
        assert "Nothing matches 'zzz'" in painted(app)


async def test_help_names_every_key(console: Open) -> None:
    async with console((120, 60)) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        shown = app.export_screenshot()
        for binding in app.main.BINDINGS:
            said = (binding.tooltip or binding.description) if not isinstance(binding, tuple) else ""
            assert said.split()[0] in shown
        await pilot.press("escape")
        assert app.main.is_current


async def test_the_log_grows_without_what_a_terminal_would_obey(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"\x1b]0;evil\x07\x1b[32mcloning\x1b[0m\n"
    async with console() as (app, pilot):
        await pilot.press("down", "down", "enter")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "cloning" in "\n".join(pane.text.lines))
        await plane.grow(RUNNING, b"step 2\n")
        await until(pilot, lambda: "step 2" in "\n".join(pane.text.lines))
        assert "\n".join(pane.text.lines) == "cloning\nstep 2\n"
        plane.publish(job(RUNNING, status=JobStatus.SUCCEEDED, created=ago(48)))
        await plane.grow(RUNNING, b"done\n")
        await until(pilot, lambda: "complete" in str(pane.query_one("#log-title").render()))
        await pilot.press("escape", "l")
        assert not pane.display


async def test_the_log_follows_the_selection(console: Open, plane: Plane) -> None:
    plane.logs["e8f7a630-2222"] = b"it broke\n"
    async with console() as (app, pilot):
        await pilot.press("l", "down", "down", "down", "down")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "it broke" in "\n".join(pane.text.lines))
        assert pane.job_id == "e8f7a630-2222"


async def test_the_end_of_the_log_is_followed_until_the_operator_leaves_it(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"".join(b"line %d\n" % number for number in range(100))
    async with console() as (app, pilot):
        await pilot.press("down", "down", "l")
        log = app.main.query_one(LogPane).text
        await until(pilot, lambda: len(log.lines) == 101)
        await until(pilot, lambda: log.max_scroll_y > 80 and log.is_vertical_scroll_end)
        await plane.grow(RUNNING, b"more\n" * 50)
        await until(pilot, lambda: len(log.lines) == 151 and log.is_vertical_scroll_end)
        await pilot.resize_terminal(80, 20)
        await until(pilot, lambda: log.max_scroll_y > 140 and log.is_vertical_scroll_end)
        await pilot.press("enter", "pageup")
        await until(pilot, lambda: not log.is_vertical_scroll_end)
        stays = log.scroll_offset.y
        await plane.grow(RUNNING, b"more\n" * 50)
        await until(pilot, lambda: len(log.lines) == 201)
        assert log.scroll_offset.y == stays
        await pilot.press("end")
        await until(pilot, lambda: log.is_vertical_scroll_end)
        await plane.grow(RUNNING, b"more\n" * 50)
        await until(pilot, lambda: len(log.lines) == 251 and log.is_vertical_scroll_end)


async def test_an_endless_line_is_broken(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"x" * 9_000
    async with console() as (app, pilot):
        await pilot.press("down", "down", "l")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: len(pane.text.lines) == 5)
        assert max(len(line) for line in pane.text.lines) <= 2_000


async def test_deploy_begins_with_the_selected_jobs_order(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("down", "n")
        assert isinstance(app.screen, DeployForm)
        assert app.screen.query_one("#gitRef", Input).value == "release/2026.05"
        await pilot.press("enter")
        await until(pilot, lambda: len(plane.orders) == 1)
        order, key = plane.orders[0]
        assert (order.payload.app_id, order.payload.user_id) == ("shop-frontend", "42")
        assert key
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "was created" in words(app, Status))


async def test_the_form_says_what_is_wrong_and_why_it_was_refused(console: Open, plane: Plane) -> None:
    plane.refusal = Refused(409, "app 20001 is busy: job 7c1e09aa is RUNNING; wait until it ends", "app_busy")
    async with console() as (app, pilot):
        await pilot.press("n")
        form = app.screen
        assert isinstance(form, DeployForm)
        form.query_one("#gitRef", Input).value = "-x"
        await pilot.press("enter")
        assert "gitRef must be a branch" in str(form.query_one("#form-problem").render())
        form.query_one("#gitRef", Input).value = "main"
        await pilot.press("enter")
        await until(pilot, lambda: "is busy" in str(form.query_one("#form-problem").render()))
        assert app.screen is form
        await pilot.press("escape")
        assert plane.orders == []


async def test_stale_data_disarms_every_action(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console() as (app, pilot):
        assert app.main.check_action("do", ("job.cancel",)) is True
        plane.lose()
        await until(pilot, lambda: "reconnecting" in words(app, Headline))
        clock.seconds += 60
        app.main.draw()
        assert "! STALE, data 1m00s old" in words(app, Headline)
        for action in ("job.cancel", "job.retry", "job.deploy"):
            assert app.main.check_action("do", (action,)) is None
        await pilot.press("c", "n", "2", "d", "o")
        assert app.screen is app.main
        plane.down = False
        await until(pilot, lambda: "● live" in words(app, Headline))
        assert app.main.check_action("do", ("job.deploy",)) is True


async def test_silence_alone_makes_data_stale(console: Open, clock: SetClock) -> None:
    async with console() as (app, _):
        clock.seconds += 16
        app.main.draw()
        assert "! STALE, data 16s old" in words(app, Headline)


async def test_a_refused_cancel_is_said_in_one_sentence(console: Open, plane: Plane) -> None:
    plane.refusal = Refused(409, "job is going live", "too_late")
    async with console() as (app, pilot):
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: "was not cancelled: job is going live; it is going live now" in words(app, Status))


async def test_a_click_selects_a_row_and_a_view(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.click(LiveTable, offset=(10, 3))
        assert app.main.table.cursor.target == RUNNING
        await pilot.click(Views, offset=(words(app, Views).index("2 Nodes"), 0))
        assert app.main.view == "nodes"


@pytest.mark.slow
async def test_the_cursor_is_never_on_another_job_whatever_happens(console: Open, plane: Plane) -> None:
    dice = random.Random(7)
    async with console() as (app, pilot):
        await pilot.press("down", "down")
        for number in range(60):
            choice = dice.randrange(3)
            if choice == 0:
                plane.publish(job(f"r{number:07}", app=str(number + 1), created=ago(dice.randrange(200))))
            elif choice == 1:
                known = dice.choice(plane.state.jobs)
                plane.publish(known.model_copy(update={"status": dice.choice(list(JobStatus))}))
            else:
                app.main.words = dice.choice(["", "", "7c1e", "zzz", "running"])
            await pilot.pause()
            cursor = app.main.table.cursor
            assert cursor.key == RUNNING
            marked = [line for line in painted(app).splitlines() if line.startswith("▸")]
            assert len(marked) == (0 if cursor.gone else 1)
            assert all("7c1e09aa" in line for line in marked)


async def test_no_key_does_harm(console: Open, plane: Plane) -> None:
    dice = random.Random(11)
    keys = [
        *"1234lcndotubxmpyYjkgq/",
        "tab",
        "shift+tab",
        "up",
        "down",
        "pageup",
        "pagedown",
        "home",
        "end",
        "escape",
        "left",
    ]
    keys.remove("q")
    async with console() as (app, pilot):
        for _ in range(60):
            await pilot.press(dice.choice(keys))
        assert app.is_running
    assert plane.calls == []
