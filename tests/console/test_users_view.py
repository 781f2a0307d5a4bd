"""Users in the console: their accounts, and how much of what they may have is there."""

import pytest
from textual.widgets import Input, Static

from console.screens.account_forms import AccountForm, PasswordForm
from console.widgets.choose import Choose
from console.widgets.confirm import Confirm
from console.widgets.text_lines import Details, Status
from protocol.accounts import Role
from protocol.client.transport import Unreachable
from tests.console.conftest import Open
from tests.console.test_flows import painted, until, words
from tests.console.twin import Plane, SetClock

PASSWORD = "correct horse battery staple"


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.furnish()
    return plane


async def test_each_user_says_what_they_may_and_what_they_have(console: Open) -> None:
    async with console((200, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        alice = next(line for line in painted(app).splitlines() if "alice" in line)
        assert {"admin", "enabled", "2/20", "1/3", "ws-node-01", "1h06m"} <= set(alice.split())
        carol = next(line for line in painted(app).splitlines() if "carol" in line)
        assert "✗ disabled" in carol
        assert "role admin · enabled" in words(app, Details) and "2 of 20 apps · 1 of 3 live" in words(app, Details)


async def test_enter_shows_the_apps_of_the_user(console: Open) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        await pilot.press("down", "enter")
        assert app.main.page.place.view == "user" and app.main.page.place.subject == "2"
        await until(pilot, lambda: "weather" in painted(app) and "notes" in painted(app))
        assert "quiz" not in painted(app)
        await pilot.press("n")
        assert "Deploy app 20003 (weather) of user 2" in str(app.screen.query_one(".dialog-title", Static).content)


async def test_accounts_are_disabled_and_enabled_after_a_question(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        await pilot.press("e")
        assert "that is so already" in words(app, Status)
        await pilot.press("down", "x")
        assert isinstance(app.screen, Confirm)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "User 2 (bob) cannot log in any more" in words(app, Status))
        clock.seconds += 1.5
        await until(pilot, lambda: painted(app).count("✗ disabled") == 2)
        await pilot.press("e", "right", "enter")
        await until(pilot, lambda: "User 2 (bob) can log in again" in words(app, Status))
        assert plane.calls == [("enable_account", "2", "False"), ("enable_account", "2", "True")]


async def test_a_role_is_chosen_among_those_that_there_are(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        await pilot.press("down", "m")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "User 2 (bob) is admin now" in words(app, Status))
        assert plane.entry.people[2].role is Role.ADMIN


async def test_a_password_is_typed_twice_and_shown_nowhere(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        await pilot.press("p")
        form = app.screen
        assert isinstance(form, PasswordForm)
        form.query_one("#password", Input).value = PASSWORD
        form.query_one("#again", Input).value = "another one"
        await pilot.press("enter")
        assert "is not the same in both fields" in str(form.query_one("#form-problem").render())
        form.query_one("#again", Input).value = PASSWORD
        assert "horse" not in app.export_screenshot() and PASSWORD not in repr(form.order())
        await pilot.press("enter")
        await until(pilot, lambda: plane.entry.passwords == [PASSWORD])
        await until(pilot, lambda: "User 1 (alice) has another password" in words(app, Status))
        assert app.screen is app.main and all(PASSWORD not in word for call in plane.calls for word in call)


async def test_an_account_is_made(console: Open, plane: Plane) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))
        await pilot.press("c")
        form = app.screen
        assert isinstance(form, AccountForm)
        await pilot.press("enter")
        assert "userName must be 1 to 64 letters" in str(form.query_one("#form-problem").render())
        form.query_one("#userName", Input).value = "Erin"
        form.query_one("#role", Input).value = "root"
        await pilot.press("enter")
        assert "role must be user, operator or admin" in str(form.query_one("#form-problem").render())
        form.query_one("#role", Input).value = "operator"
        for field in ("password", "again"):
            form.query_one(f"#{field}", Input).value = PASSWORD
        await pilot.press("enter")
        await until(pilot, lambda: plane.calls == [("create_account", "erin", "operator")])
        await until(pilot, lambda: app.screen is app.main)


async def test_an_operator_who_is_no_admin_is_told_so_and_sees_the_rest(console: Open, plane: Plane) -> None:
    plane.entry.role = Role.OPERATOR
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        shown = "this needs the role admin; ask somebody who has it"
        await until(pilot, lambda: shown in app.export_screenshot().replace("&#160;", " "))
        assert "2/20" in painted(app) and "ws-node-01" in painted(app)
        for key in ("x", "p", "m"):
            await pilot.press(key)
            assert "only admins see and change accounts" in words(app, Status)
        await pilot.press("c")
        form = app.screen
        form.query_one("#userName", Input).value = "erin"
        for field in ("password", "again"):
            form.query_one(f"#{field}", Input).value = PASSWORD
        await pilot.press("enter")
        await until(pilot, lambda: "ask somebody who has it" in str(form.query_one("#form-problem").render()))
        assert plane.calls == []


async def test_an_api_entry_that_is_gone_leaves_what_was_read(console: Open, plane: Plane, clock: SetClock) -> None:
    async with console((120, 40)) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "alice" in painted(app))

        def gone() -> None:
            raise Unreachable("http://127.0.0.1:8080 does not answer: connection refused")

        plane.entry.reached = gone
        clock.seconds += 20
        plane.beat(20)
        await until(pilot, lambda: "connection refused" in app.export_screenshot().replace("&#160;", " "))
        assert "alice" in painted(app)
