"""What an operator does, key by key, on the control plane's twin."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
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
from protocol.running import OutputStream
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
    async with asyncio.timeout(60):
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
        await pilot.press("slash", *"failed npm")
        assert "e8f7a630" in painted(app)
        assert "5d52ab10" not in painted(app)
        assert app.main.table.cursor.gone, "what is not shown is not selected"
        assert app.main.check_action("do", ("job.cancel",)) is None
        await pilot.press("enter")
        assert app.main.table.cursor.target == "e8f7a630-2222"
        await pilot.press("escape")
        assert "5d52ab10" in painted(app)
        assert app.main.table.cursor.target == "e8f7a630-2222"
        await pilot.press("slash", *"zzz", "enter")
        assert "Nothing matches 'zzz'" in painted(app)
        assert app.main.table.ghost is not None and app.main.table.cursor.key == "e8f7a630-2222"
        await pilot.press("escape")
        assert app.main.table.cursor.target == "e8f7a630-2222", "what is shown again is chosen still"
        await pilot.press("slash", "f", "enter")
        assert app.main.table.cursor.target == "e8f7a630-2222", "nobody leaves an object that is shown"


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
        await until(pilot, lambda: "cloning" in "\n".join(pane.lines))
        await plane.grow(RUNNING, b"step 2\n")
        await until(pilot, lambda: "step 2" in "\n".join(pane.lines))
        assert pane.lines == ("cloning", "step 2")
        plane.publish(job(RUNNING, status=JobStatus.SUCCEEDED, created=ago(48)))
        await plane.grow(RUNNING, b"done\n")
        await until(pilot, lambda: "complete" in str(pane.query_one("#log-title").render()))
        await pilot.press("l")
        assert not pane.display


async def test_the_log_follows_the_selection(console: Open, plane: Plane) -> None:
    plane.logs["e8f7a630-2222"] = b"it broke\n"
    async with console() as (app, pilot):
        await pilot.press("l", "down", "down", "down", "down")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "it broke" in "\n".join(pane.lines))
        assert pane.job_id == "e8f7a630-2222"


async def test_the_end_of_the_log_is_followed_until_the_operator_leaves_it(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"".join(b"line %d\n" % number for number in range(100))
    async with console() as (app, pilot):
        await pilot.press("down", "down", "l")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "line 99" in pane.text.texts)
        await plane.grow(RUNNING, b"more\n" * 50 + b"end 1\n")
        await until(pilot, lambda: pane.text.texts[-1] == "end 1")
        await pilot.resize_terminal(80, 20)
        await pilot.pause()
        assert pane.text.texts[-1] == "end 1"
        await pilot.press("enter", "pageup")
        stays = pane.text.texts
        assert stays[-1] != "end 1"
        await plane.grow(RUNNING, b"more\n" * 50 + b"end 2\n")
        await until(pilot, lambda: pane.lines[-1] == "end 2")
        assert pane.text.texts == stays
        await pilot.press("end")
        assert pane.text.texts[-1] == "end 2"
        await plane.grow(RUNNING, b"end 3\n")
        await until(pilot, lambda: pane.text.texts[-1] == "end 3")


async def test_an_endless_line_is_shown_in_pieces_and_can_be_read_to_its_end(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"x" * 1_000_000 + b"the end\n"
    async with console() as (app, pilot):
        await pilot.press("down", "down", "enter", "w")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: len(pane.text.paper) == 123)
        assert sum(len(line.removesuffix("↩")) for line in pane.lines) == 1_000_007
        await until(pilot, lambda: pane.text.texts[-1].endswith("the end"))
        assert max(len(text) for text in pane.text.texts) <= 79


async def test_a_log_is_searched_in_context_and_filtered(console: Open, plane: Plane) -> None:
    plane.logs[RUNNING] = b"".join(b"line %d%s\n" % (n, b" failed" if n % 40 == 7 else b"") for n in range(200))
    async with console() as (app, pilot):
        await pilot.press("down", "down", "enter")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "line 199" in pane.text.texts)
        await pilot.press("slash", *"failed", "enter")
        await until(pilot, lambda: pane.text.current is not None)
        assert "line 7 failed" in pane.text.texts and "line 6" in pane.text.texts
        await pilot.press("n")
        assert pane.text.current == 47 and "line 46" in pane.text.texts
        await pilot.press("N", "N")
        assert pane.text.current == 167
        await pilot.press("f")
        assert pane.lines == tuple(f"line {n} failed" for n in (7, 47, 87, 127, 167))
        await plane.grow(RUNNING, b"also failed\nwent well\n")
        await until(pilot, lambda: pane.lines[-1] == "also failed")
        await pilot.press("f")
        assert "line 166" in pane.text.texts and "line 167 failed" in pane.text.texts
        await pilot.press("escape", "escape")
        assert pane.text.found is None and app.focused is app.main.table


async def test_logs_of_several_apps_are_one(console: Open, plane: Plane) -> None:
    await plane.write("20001", "one\n", 1_000)
    await plane.write("20003", "two\n", 2_000, OutputStream.STDERR)
    async with console() as (app, pilot):
        await pilot.press("3", "space", "space", "space", "l")
        pane = app.main.query_one(LogPane)
        assert [origin.id for origin in pane.origins] == ["20001", "20003", "20007"]
        await until(pilot, lambda: len(pane.lines) == 3)
        assert [line.split()[1:] for line in sorted(pane.lines)][:2] == [["20001", "one"], ["20003", "two"]]
        assert "runs on no runtime node" in sorted(pane.lines)[2]
        await plane.write("20001", "three\n", 3_000)
        await until(pilot, lambda: pane.lines[-1].endswith("three"))
        app.set_focus(pane.text)
        await pilot.press("T", "T")
        assert pane.lines[-1].startswith("00:00:03.000 app 20001")


async def test_a_log_is_saved(console: Open, plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    plane.logs[RUNNING] = b"\x1b[31mred\x1b[0m\nplain\n"
    async with console() as (app, pilot):
        await pilot.press("down", "down", "enter")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: pane.lines == ("red", "plain"))
        await pilot.press("s")
        await until(pilot, lambda: "2 lines were saved" in words(app, Status))
    assert saved(tmp_path) == [("red\nplain\n", 0o600)]


def saved(folder: Path) -> list[tuple[str, int]]:
    return [(path.read_text(), path.stat().st_mode & 0o777) for path in folder.rglob("*.log")]


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


async def test_what_is_typed_after_the_filters_key_is_for_the_filter(console: Open) -> None:
    """However fast: keys that are read in one go reach the line that `/` opens, and no action."""
    async with console() as (app, pilot):
        await pilot.press("1")
        for key, character in (("slash", "/"), *((letter, letter) for letter in "slo"), ("slash", "/"), ("n", "n")):
            app.post_message(events.Key(key, character))
        await until(pilot, lambda: app.main.query_one("#filter", Input).value == "slo/n")
        assert app.screen is app.main
