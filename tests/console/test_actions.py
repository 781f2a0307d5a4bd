"""Actions: one gate, every target named, nothing on what may be out of date, nothing that changed meanwhile."""

import ast
import inspect
from functools import partial
from pathlib import Path
from typing import TypeGuard

import pytest
from textual.binding import BindingsMap
from textual.widgets import Button, Input, OptionList

import console
from console.app import ConsoleApp
from console.live.actions.palette import index, search
from console.live.actions.registry import ACTIONS, action_of
from console.live.actions.spec import Danger, Permit, Reads, shown_in
from console.live.catalog import VIEWS
from console.live.commands import Commands, EntryCommands, Lookups, WorkspaceCommands
from console.live.keymap import RESERVED, checked
from console.screens.deploy_form import DeployForm
from console.screens.doing import Doing
from console.screens.main import MainScreen, default_keys
from console.screens.palette import Palette
from console.widgets.choose import Choose
from console.widgets.confirm import Confirm
from console.widgets.live_table import LiveTable
from console.widgets.log_pane import LogPane
from console.widgets.text_lines import Headline, Status
from protocol.client.api import ApiAdminClient
from protocol.client.deploy import AdminClient
from protocol.client.transport import Refused
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.drains import DrainPreview, DrainState, PlannedMove
from protocol.jobs import JobStatus
from tests.console.conftest import Open
from tests.console.samples import job
from tests.console.test_flows import painted, until, words
from tests.console.twin import Plane, SetClock
from tests.console.twin_changes import delivery, operation, plan

PENDING, RUNNING, FAILED = "91b0d4c2-77aa", "7c1e09aa-11d0", "e8f7a630-2222"
GATE = Path("live/actions/gate.py")
WORKSPACE_GATE = Path("live/actions/workspace_gate.py")
ENTRY_GATE = Path("live/actions/entry_gate.py")
_ASKS = ("call", "stream")


def last_call(plane: Plane, call: tuple[str, ...]) -> bool:
    return plane.calls[-1:] == [call]


def changing() -> set[str]:
    """Methods of the admin client that change something: they send anything but a GET."""
    found = set()
    for name, method in (
        *inspect.getmembers(AdminClient, inspect.isfunction),
        *inspect.getmembers(WorkspaceAdminClient, inspect.isfunction),
        *inspect.getmembers(ApiAdminClient, inspect.isfunction),
    ):
        text = inspect.getsource(method)
        if any(f'"{verb}"' in text for verb in ("POST", "PUT", "DELETE", "PATCH")) or "socket" in text:
            found.add(name)
    return found - {"preview_drain"}


def _plain(value: ast.expr) -> TypeGuard[ast.Call]:
    """`reading.cancel()` as a whole statement: a task's, for what changes something is awaited."""
    return isinstance(value, ast.Call) and not value.args and not value.keywords


def test_every_change_goes_through_the_gate() -> None:
    """No other module of the console (but for the one-shot commands) calls what changes something."""
    names, root = changing(), Path(console.__file__).parent
    assert {"create", "cancel", "set_enabled", "start_drain", "stop_app", "rollback"} <= names
    plane = {name for name in vars(Commands) if not name.startswith("_") and not name.endswith("_plane")}
    there = {name for name in vars(WorkspaceCommands) if not name.startswith("_")}
    entry = {name for name in vars(EntryCommands) if not name.startswith("_")}
    own = plane | there | entry
    assert own <= names and not {name for name in dir(Lookups) if not name.startswith("_")} & names
    calls: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        place = path.relative_to(root)
        if place.parts[0] != "cli":
            nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
            ended = {id(node.value.func) for node in nodes if isinstance(node, ast.Expr) and _plain(node.value)}
            for node in nodes:
                if isinstance(node, ast.Attribute) and node.attr in own and id(node) not in ended:
                    calls.setdefault(str(place), set()).add(node.attr)
    gates = {str(GATE): plane, str(WORKSPACE_GATE): there, str(ENTRY_GATE): entry}
    assert calls == gates, "what changes something is called by the gate, and the gate calls all of it"


def test_actions_are_known_by_their_ids_and_keys() -> None:
    ids, views = [action.id for action in ACTIONS], {view.name for view in VIEWS}
    assert len(set(ids)) == len(ids)
    for action in ACTIONS:
        assert set(action.views) <= views and (action.views or not action.noun)
        assert action.title and action.verb and action.tooltip and "." in action.id
        assert action_of(action.id) is action
        assert (action.danger is Danger.NONE) is (action.reads is Reads.FORM), "only a form asks by itself"
    with pytest.raises(LookupError, match="choose one of job"):
        action_of("job.nothing")


def test_no_key_means_two_things_and_none_is_a_prefix_of_tmux_or_readline() -> None:
    taken: dict[tuple[str, str], str] = {}
    for view in VIEWS:
        for of in (MainScreen, Doing, LiveTable):
            for key, bindings in BindingsMap(of.BINDINGS).key_to_bindings.items():
                for binding in bindings:
                    assert binding.id, f"{binding.action} has no id, so nobody can give it another key"
                    mine = next((action for action in ACTIONS if action.id == binding.id), None)
                    if mine is None or shown_in(mine, view.name):
                        known = taken.setdefault((view.name, key), binding.action)
                        assert known == binding.action, f"{key} means two things in {view.name}"
    every = {*(key for _, key in taken), *(key for keys in default_keys().values() for key in keys.split(","))}
    for other in (ConsoleApp, LogPane, Confirm, DeployForm, Palette, Choose):
        every |= set(BindingsMap(other.BINDINGS).key_to_bindings)
    assert not every & RESERVED
    assert not {key for key in every if key.startswith("ctrl+")} & {"ctrl+k", "ctrl+x"}


async def test_nothing_else_is_bound_to_a_prefix(console: Open) -> None:
    async with console() as (app, _):
        assert not set(app.active_bindings) & RESERVED


def test_a_keymap_is_looked_at_before_it_is_used() -> None:
    known = {"a.one": "x", "a.two": "y,z", "a.three": "t"}
    assert checked({"a.one": "f5"}, known).keys == {"a.one": "f5"}
    assert checked({"a.one": "y", "a.two": "x"}, known).problems == (), "two may change places"
    clash = checked({"a.one": "z"}, known)
    assert clash.keys == {} and "z is the key of a.two" in clash.problems[0]
    assert "no action" in checked({"b": "x"}, known).problems[0]


@pytest.fixture
def rekeyed(plane: Plane, clock: SetClock) -> ConsoleApp:
    return ConsoleApp(plane, "here", clock, keymap={"job.cancel": "f8", "no.such": "x"})


async def test_keys_can_be_chosen(plane: Plane, rekeyed: ConsoleApp) -> None:
    app = rekeyed
    async with app.run_test(size=(80, 24)) as pilot:
        await plane.watched.wait()
        await until(pilot, lambda: "no.such is no action" in words(app, Status))
        await pilot.press("c")
        assert app.screen is app.main
        await pilot.press("f8")
        assert isinstance(app.screen, Confirm)
        await pilot.press("escape", "question_mark")
        assert "f8" in app.export_screenshot().replace("&#160;", " ").lower()


async def test_a_cancel_carries_what_was_seen_and_a_change_meanwhile_is_told(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: plane.expected == ["PENDING.0"])
        plane.refusal = Refused(409, "job changed meanwhile and was left as it is: look at it again", "changed")
        await pilot.press("down", "down", "c", "right", "enter")
        await until(pilot, lambda: "changed meanwhile" in words(app, Status))


async def test_every_marked_job_is_named_also_those_that_the_filter_hides(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("space", "space", "slash", *"build-a", "enter", "c")
        assert isinstance(app.screen, Confirm)
        shown = app.export_screenshot().replace("&#160;", " ")
        assert "Cancel 2 jobs?" in shown
        assert shown.count("(hidden by the") == 2
        await pilot.press("y")
        await until(pilot, lambda: len(plane.calls) == 2)
        assert {call[1] for call in plane.calls} == {PENDING, "d002f3b1-90e1"}
        await until(pilot, lambda: "Done for 2 jobs" in words(app, Status))


async def test_marks_of_ended_jobs_are_refused_with_the_reason(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("space", "end", "space", "c")
        assert app.screen is app.main
        assert "it has ended" in words(app, Status) and "unmark it" in words(app, Status)


async def test_a_key_that_does_nothing_says_why(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("t")
        assert app.screen is app.main
        assert "only a job that failed or was cancelled can be retried" in words(app, Status)


async def test_retry_and_its_key(console: Open, plane: Plane) -> None:
    async with console() as (_, pilot):
        await pilot.press("slash", *"e8f7", "enter", "t", "right", "enter")
        await until(pilot, lambda: plane.calls == [("retry", FAILED)])
        assert plane.expected == ["FAILED.2"] and plane.keys[0]


@pytest.fixture
def reader(plane: Plane, clock: SetClock) -> ConsoleApp:
    return ConsoleApp(plane, "here", clock, permits={"": Permit(write=False)})


async def test_read_only_changes_nothing_and_says_so(plane: Plane, reader: ConsoleApp) -> None:
    app = reader
    async with app.run_test(size=(80, 24)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        assert "read-only" in words(app, Headline)
        for key in ("c", "n", "t", "2", "d", "o"):
            await pilot.press(key)
            assert app.screen is app.main
        assert "read-only" in words(app, Status)
        assert plane.calls == []


@pytest.fixture
def production(plane: Plane, clock: SetClock) -> ConsoleApp:
    return ConsoleApp(plane, "here", clock, permits={"": Permit(production=True)})


async def test_in_production_the_name_has_to_be_typed(plane: Plane, production: ConsoleApp) -> None:
    app = production
    async with app.run_test(size=(80, 24)) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        await pilot.press("c", "y")
        assert isinstance(app.screen, Confirm) and app.screen.query_one("#yes", Button).disabled
        assert isinstance(app.focused, Button) and app.focused.id == "no"
        app.screen.query_one("#typed", Input).focus()
        await pilot.press(*"20001", "enter", "enter")
        await until(pilot, lambda: plane.calls == [("cancel", PENDING)])


async def test_what_got_stale_while_the_question_stood_is_not_sent(
    console: Open, plane: Plane, clock: SetClock
) -> None:
    async with console() as (app, pilot):
        await pilot.press("c")
        plane.lose()
        await until(pilot, lambda: "reconnecting" in words(app, Headline))
        clock.seconds += 60
        await pilot.press("right", "enter")
        assert "nothing was sent" in words(app, Status)
        assert plane.calls == []


async def test_a_drain_shows_its_plan_first(console: Open, plane: Plane) -> None:
    moves = (PlannedMove(app_id="20001", runs=True, target="rt-node-02"), PlannedMove(app_id="20007", runs=True))
    plane.outlook = DrainPreview(node_id=1, node="rt-node-01", fits=False, moves=moves, explanation="1 of 2 apps fits")
    async with console((120, 40)) as (app, pilot):
        await pilot.press("2", "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        shown = app.export_screenshot().replace("&#160;", " ")
        assert "20001 → rt-node-02" in shown and "20007 → nowhere" in shown
        await pilot.press("enter")
        assert plane.calls == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("right", "enter")
        await until(pilot, lambda: plane.calls == [("start_drain", "rt-node-01", "True")])
        assert plane.expected == ["1.enabled.100"]


async def test_a_plan_is_paused_and_undone(console: Open, plane: Plane) -> None:
    plane.plans = (plan(4), plan(3, DrainState.DONE))
    async with console() as (app, pilot):
        await pilot.press("2", "colon", *"drain.pause", "enter")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert app.screen.query_one(OptionList).get_option_at_index(1).disabled
        await pilot.press("enter", "y")
        await until(pilot, lambda: plane.calls == [("pause_drain", "4")])
        assert plane.expected == ["RUNNING"]


async def test_roll_back_to_a_chosen_release(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("3", "b")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        options = app.screen.query_one(OptionList)
        assert options.get_option_at_index(0).disabled and options.highlighted == 1, "not to what runs"
        await pilot.press("down", "enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("right", "enter")
        await until(pilot, lambda: [call[0] for call in plane.calls] == ["rollback"])
        assert plane.calls[0][2] == "1" and plane.expected == ["release.3"] and plane.keys[0]


async def test_stop_and_reassign(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("3", "x", "right", "enter")
        await until(pilot, lambda: [call[0] for call in plane.calls] == ["stop_app"])
        assert plane.expected[0] is not None and plane.expected[0].startswith("on.")
        await pilot.press("end", "m")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter", "right", "enter")
        await until(pilot, lambda: [call[0] for call in plane.calls] == ["stop_app", "reassign"])


async def test_garbage_is_collected_on_a_node(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("2", "z", "right", "enter")
        await until(pilot, lambda: plane.calls == [("collect", "rt-node-01")])
        await until(pilot, lambda: "removed 9 images and cut 2 logs, 12.4 GB are free again" in words(app, Status))
        assert plane.expected[0] is not None and plane.expected[0].endswith(".enabled.100")


async def test_runners_are_drained_and_come_back(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("4", "R")
        assert "it is not drained" in words(app, Status)
        await pilot.press("D", "right", "enter")
        await until(pilot, lambda: [call[0] for call in plane.calls] == ["set_drained"])
        assert plane.calls[0][2] == "True" and plane.expected == ["working"]


async def test_pin_operations_and_results(console: Open, plane: Plane) -> None:
    plane.to_do, plane.results = (operation(5, "20001"),), (delivery(9, "20003"),)
    async with console() as (app, pilot):
        for typed, done in (
            ("release.pin", ("pin_release", "20001", "3", "True")),
            ("operation.abandon", ("abandon_operation", "5")),
            ("operation.retry", ("retry_operation", "5")),
        ):
            await pilot.press("colon", *typed, "enter")
            await until(pilot, lambda: isinstance(app.screen, Choose))
            await pilot.press("enter", "y")
            await until(pilot, partial(last_call, plane, done))
        await pilot.press("colon", *"webhook.retry e8f7", "enter")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter", "y")
        await until(pilot, lambda: plane.calls[-1] == ("retry_webhook", "9"))


async def test_an_action_on_an_object_is_typed_in_one_line(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("2", "colon", *"cancel 7c1e")
        assert isinstance(app.screen, Palette)
        await pilot.press("enter")
        assert isinstance(app.screen, Confirm) and app.main.view == "jobs"
        assert app.main.table.cursor.target == RUNNING
        await pilot.press("y")
        await until(pilot, lambda: plane.calls == [("cancel", RUNNING)])


async def test_any_object_is_reached_from_anywhere(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("slash", *"zzz", "enter", "ctrl+p", *"rt-node-02", "enter")
        assert app.main.view == "nodes" and app.main.words == ""
        node = app.main.table.table.value(app.main.table.cursor.target or "")
        assert getattr(node, "name", "") == "rt-node-02"
        await pilot.press("colon", *"runn", "enter")
        assert app.main.view == "runners"
        await pilot.press("colon", "escape")
        assert app.screen is app.main


async def test_the_palette_finds_every_action_and_every_object(console: Open, plane: Plane) -> None:
    plane.publish(job("feed0000-0001", app="20999", status=JobStatus.FAILED))
    async with console() as (app, pilot):
        await until(pilot, lambda: "20999" in painted(app))
        found = index(app.main.world, VIEWS, 1000.0)
        for action in ACTIONS:
            assert any(entry.action == action.id for entry in search(found, action.id)), action.id
        model = app.main.live.model
        assert model is not None
        for view in (each for each in VIEWS if each.findable):
            for key in view.objects(model):
                reached = search(found, f"{view.name} {key}")
                assert key in {entry.key for entry in reached} or view.name == "nodes", (view.name, key)
        assert [entry.action for entry in search(found, "retry feed")][:1] == ["job.retry"]


async def test_the_form_completes_what_was_ordered_before(console: Open, plane: Plane) -> None:
    async with console() as (app, pilot):
        await pilot.press("2", "n")
        form = app.screen
        assert isinstance(form, DeployForm)
        await pilot.press(*"shop", "right")
        assert form.query_one("#appId", Input).value == "shop-frontend"
        await pilot.press("down")
        await until(pilot, lambda: form.query_one("#userId", Input).value == "42")
        assert form.query_one("#gitRef", Input).value == "release/2026.05"


async def test_ids_and_rows_are_copied(console: Open) -> None:
    async with console() as (app, pilot):
        await pilot.press("y")
        assert app.clipboard == PENDING
        await pilot.press("space", "space", "y")
        assert app.clipboard.splitlines() == sorted((PENDING, "d002f3b1-90e1"))
        await pilot.press("Y")
        assert "RUNNING" in app.clipboard and "\t" in app.clipboard
        await until(pilot, lambda: "Copied the row" in words(app, Status))
