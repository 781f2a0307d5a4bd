"""Apps in the console: whose each is and how it stands, and what an operator does with one in its owner's name."""

import pytest
from textual.widgets import Button, Input, OptionList, Static

from console.app import ConsoleApp
from console.live.actions.spec import Permit
from console.screens.deploy_form import DeployForm, OwnersDeployForm
from console.widgets.choose import Choose
from console.widgets.confirm import Confirm
from console.widgets.log_pane import LogPane
from console.widgets.text_lines import Details, Status
from protocol.api import AppPart, AppState
from protocol.client.transport import Refused
from protocol.configuration import AppConfig
from protocol.jobs import JobStatus
from tests.console.conftest import Open
from tests.console.samples import ago, job, payload
from tests.console.test_flows import painted, until, words
from tests.console.test_pages import panel
from tests.console.twin import Plane, SetClock
from tests.console.twin_changes import release


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.furnish()
    return plane


async def test_each_app_says_whose_it_is_how_it_stands_and_what_runs(console: Open) -> None:
    async with console((200, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "NEVER RAN" in painted(app) and "DELETING" in painted(app))
        shown = painted(app)
        assert "2 deploying" in shown and "3 ready" in shown and "4 failed" in shown and "0 created" in shown
        assert "4 01234567" in shown, "the release that runs, and its commit"
        assert "is being deleted; left: workspace, repository" in shown
        assert "its repository is not set up: the git server does not answer" in shown
        await pilot.press("slash", *"status:ready", "enter")
        assert "quiz" in painted(app) and "weather" not in painted(app)
        assert "http://127.0.0.1:8088/runtime/20007/ · ssh://git@git.example.org" in words(app, Details)


async def test_a_deployment_is_ordered_for_the_owner_and_its_log_followed(console: Open, plane: Plane) -> None:
    plane.publish(
        job(
            "before00-0001",
            app="20007",
            status=JobStatus.SUCCEEDED,
            created=ago(10),
            payload=payload("20007", "3", "main", container_port=8080, base_path="/runtime/20007"),
        )
    )
    plane.logs["owner000-0001"] = b"cloning\n"
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"quiz", "enter", "n")
        form = app.screen
        assert isinstance(form, OwnersDeployForm)
        said = str(form.query_one(".dialog-text", Static).content)
        assert "u3-app20007.git" in said and "1 of 20 apps · 1 of 3 live" in said
        assert form.query_one("#gitRef", Input).value == "main"
        form.query_one("#gitRef", Input).value = "-x"
        await pilot.press("enter")
        assert "gitRef must be a branch" in str(form.query_one("#form-problem").render())
        form.query_one("#gitRef", Input).value = "release/2"
        await pilot.press("enter")
        await until(pilot, lambda: app.main.page.place.subject == "owner000-0001")
        assert plane.calls == [("deploy_for_owner", "20007", "release/2", "True")]
        (order,) = plane.entry.ordered
        assert (order.container_port, order.base_path, order.git_ref) == (8080, "/runtime/20007", "release/2")
        await until(pilot, lambda: "cloning" in "\n".join(app.main.query_one(LogPane).lines))


async def test_the_owners_limit_is_said_in_the_form(console: Open, plane: Plane) -> None:
    plane.entry.refusal = Refused(409, "3 apps are deploying or running (1, 2, 3); stop one first", "app_limit")
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("n", "enter")
        form = app.screen
        assert isinstance(form, OwnersDeployForm)
        await until(pilot, lambda: "stop one first" in str(form.query_one("#form-problem").render()))
        assert app.screen is form


async def test_secrets_that_nobody_is_shown_are_not_lost(console: Open, plane: Plane) -> None:
    config = AppConfig(environment={"A": "1"}, secrets={"API_KEY": None})
    order = payload("20001", "1", "main", config=config)
    plane.publish(job("before00-0001", app="20001", status=JobStatus.SUCCEEDED, created=ago(-10), payload=order))
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("n", "enter")
        form = app.screen
        assert isinstance(form, OwnersDeployForm)
        await until(pilot, lambda: "secrets again" in str(form.query_one("#form-problem").render()))
        assert plane.entry.ordered == []


async def test_an_app_that_the_api_does_not_know_has_the_form_of_old(console: Open, plane: Plane) -> None:
    del plane.entry.owned[20007]
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "NEVER RAN" in painted(app))
        await pilot.press("slash", *"20007", "enter", "n")
        assert isinstance(app.screen, DeployForm)
        await pilot.press("escape", "x", "right", "enter")
        await until(pilot, lambda: plane.calls == [("stop_app", "20007", "1")])


async def test_going_back_names_release_commit_and_age_and_is_followed(console: Open, plane: Plane) -> None:
    old = release(2, app="20007").model_copy(update={"commit": "abcdef0123456789", "created_at": ago(7200)})
    plane.history = (release(3, current=True, app="20007"), old)
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"quiz", "enter", "b")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert app.screen.query_one(OptionList).highlighted == 1, "what runs cannot be gone back to"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        asked = str(app.screen.query_one(".dialog-title", Static).content)
        assert "app 20007" in asked and "release 2 · 2h00m old · commit abcdef012345" in asked
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.main.page.place.subject == "back0000-0002")
        assert plane.calls == [("roll_back_for_owner", "20007", "2")]


async def test_nobody_goes_back_from_releases_that_changed_meanwhile(console: Open, plane: Plane) -> None:
    plane.history = (release(3, current=True, app="20007"), release(2, app="20007"))
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"quiz", "enter", "b")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        plane.history = (release(4, current=True, app="20007"), *plane.history)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "has another release by now" in words(app, Status))
        assert plane.calls == []


async def test_a_stop_frees_the_owners_place_and_is_seen_at_once(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"quiz", "enter", "x", "right", "enter")
        await until(pilot, lambda: plane.calls == [("stop_for_owner", "20007")])
        await until(pilot, lambda: "App 20007 is stopped" in words(app, Status))
        clock.seconds += 3.5
        await until(pilot, lambda: "1 uploaded" in painted(app))
        assert plane.entry.owned[20007].app_status is AppState.UPLOADED


async def test_the_page_of_an_app_acts_on_it_also_when_it_never_ran(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "NEVER RAN" in painted(app))
        await pilot.press("end", "enter")
        assert app.main.page.place.subject == "20011"
        await until(pilot, lambda: "blog" in app.export_screenshot())
        await pilot.press("x")
        assert "it is on no node" in words(app, Status)
        await pilot.press("n")
        assert isinstance(app.screen, OwnersDeployForm)


async def test_an_app_is_deleted_and_seen_to_its_end(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"quiz", "enter", "enter", "D")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        asked = str(app.screen.query_one(".dialog-title", Static).content)
        assert "Delete app 20007 quiz of user 3?" in asked
        assert "This cannot be undone" in str(app.screen.query_one(".dialog-text", Static).content)
        await pilot.press("enter")
        assert plane.calls == [], "the answer that does nothing is the one that is chosen"
        await pilot.press("D", "right", "enter")
        await until(pilot, lambda: plane.calls == [("delete_for_owner", "20007", "3")])
        await until(pilot, lambda: "App 20007 is being deleted; left: access, workspace" in words(app, Status))
        plane.entry.taken_away(20007, AppPart.ACCESS, AppPart.DEPLOYMENTS, problem="workspace: ws-1 is away")
        clock.seconds += 3.5
        await until(pilot, lambda: "✓ access · … workspace · ✓ deployments · … repository" in panel(app))
        assert "workspace: ws-1 is away · tried 1 time" in panel(app)
        await pilot.press("D")
        assert "it is being deleted" in words(app, Status)
        plane.entry.taken_away(20007, *AppPart)
        clock.seconds += 3.5
        await until(pilot, lambda: "nothing is left of it" in panel(app) and "DELETED" in panel(app))
        assert "✓ access · ✓ workspace · ✓ deployments · ✓ repository" in panel(app)
        await pilot.press("D")
        assert "it was deleted" in words(app, Status) and len(plane.calls) == 1


@pytest.fixture
def production(plane: Plane, clock: SetClock) -> ConsoleApp:
    return ConsoleApp(plane, "here", clock, permits={"": Permit(production=True)})


async def test_several_apps_are_named_with_their_owners_and_counted(plane: Plane, production: ConsoleApp) -> None:
    app = production
    async with app.run_test(size=(120, 40)) as pilot:
        await plane.watched.wait()
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        for name in ("quiz", "notes"):
            await pilot.press("slash", "ctrl+u", *name, "enter", "space")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        asked = app.export_screenshot().replace("&#160;", " ")
        assert "Delete 2 apps?" in asked
        assert "app 20007 quiz of user 3" in asked and "app 20005 notes of user 2" in asked
        assert app.screen.query_one("#yes", Button).disabled
        app.screen.query_one("#typed", Input).focus()
        await pilot.press(*"2 apps", "enter", "enter")
        await until(pilot, lambda: len(plane.calls) == 2)
        calls = {("delete_for_owner", "20005", "2"), ("delete_for_owner", "20007", "3")}
        assert set(plane.calls) == calls


async def test_only_the_api_entry_deletes(console: Open, plane: Plane) -> None:
    del plane.entry.owned[20007]
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "NEVER RAN" in painted(app))
        await pilot.press("slash", *"20007", "enter", "D")
        assert "knows nothing of it" in words(app, Status) and plane.calls == []


async def test_the_page_of_an_app_says_where_it_is_found_and_what_a_push_does(console: Open) -> None:
    async with console((160, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "quiz" in painted(app))
        await pilot.press("slash", *"shop", "enter", "enter")
        await until(pilot, lambda: "are deployed: main, release/1" in panel(app))
        shown = panel(app)
        assert "/runtime/20001/ · /shop · ✓ shop.example" in shown
        assert '_funai-verify.www.shop.example TXT "funai-verify=0123456789abcdef' in shown
        assert "✓ ssh://git@git.example.org:2222/funai/u1-app20001.git" in shown
        assert "89abcdef on main came" in shown and "job 7c1e09aa" in shown


async def test_what_is_being_deleted_is_not_deployed_for_anybody(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "DELETING" in painted(app))
        await pilot.press("slash", *"old-site", "enter")
        await until(pilot, lambda: "left: workspace, repository" in words(app, Details))
        assert "ws-node-03 does not answer · tried 4 times" in words(app, Details)
        await pilot.press("x")
        assert "it is being deleted" in words(app, Status) and plane.calls == []
