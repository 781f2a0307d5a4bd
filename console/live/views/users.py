"""Users: who may log in and as what, how much of what they may have is theirs, and how their jobs go. Pure.

Accounts, apps and workspaces are the API entry's, jobs the control plane's: whoever is known to one of them has a row.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from console.live import topics
from console.live.books import Home
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.spec import Field, ViewSpec, aged, by_number, counted, worded
from console.live.words import t, tn
from protocol.accounts import AccountView, Role
from protocol.api import MOST_APPS, MOST_LIVE_APPS, AppInfo, AppState
from protocol.base import Wire
from protocol.jobs import JobStatus


class UserRow(Wire):
    """What one user has. `role` and `enabled` are there where the user has an account; `owned` and `live` count apps
    where the API entry was asked."""

    user_id: str
    apps: tuple[str, ...] = ()
    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    user_name: str | None = None
    role: Role | None = None
    enabled: bool | None = None
    create_time: datetime | None = None
    last_login_time: datetime | None = None
    owned: int | None = None
    live: int | None = None
    node: str | None = None


def is_live(app: AppInfo) -> bool:
    """Whether it takes one of its owner's places: it is being deployed, or a version of it is meant to run."""
    return app.app_status is AppState.DEPLOYING or app.deploy_url is not None


def _owned(apps: Iterable[AppInfo]) -> dict[str, list[AppInfo]]:
    found: dict[str, list[AppInfo]] = {}
    for app in apps:
        found.setdefault(str(app.user_id), []).append(app)
    return found


def _rows(model: Model) -> dict[str, UserRow]:
    backlog, beside = model.beside.backlog, model.beside
    jobs, owned = backlog.users(), _owned(beside.of(topics.OWNED_APPS).values())
    accounts: Mapping[str, AccountView] = beside.of(topics.ACCOUNTS)
    homes: Mapping[str, Home] = beside.of(topics.HOMES)
    asked = topics.OWNED_APPS in beside.fetched and beside.fetched[topics.OWNED_APPS].read_at is not None
    found = {}
    for user in {**jobs, **accounts, **owned, **homes}:
        counts, mine = jobs.get(user, {}), owned.get(user, [])
        own = {str(app.id) for app in mine}
        facts: dict[str, Any] = {
            "user_id": user,
            "apps": tuple(sorted(own | set(backlog.apps_of(user)))),
            "waiting": counts.get(JobStatus.PENDING, 0),
            "running": counts.get(JobStatus.RUNNING, 0),
            "succeeded": counts.get(JobStatus.SUCCEEDED, 0),
            "failed": counts.get(JobStatus.FAILED, 0),
            "owned": len(mine) if asked else None,
            "live": sum(map(is_live, mine)) if asked else None,
            "node": homes[user].node if user in homes else None,
        }
        if (account := accounts.get(user)) is not None:
            facts |= {name: value for name, value in account if name != "user_id"}
        found[user] = UserRow.model_construct(**facts)
    return found


def state_cell(user: UserRow) -> Cell:
    """Whether the user may log in."""
    if user.enabled is None:
        return Cell(t("no account"), Tone.QUIET)
    return Cell(f"✓ {t('enabled')}", Tone.GOOD) if user.enabled else Cell(f"✗ {t('disabled')}", Tone.BAD)


def of_most(count: int | None, most: int) -> Cell:
    """So many of those that a user may have; `!` when there is no room for another."""
    if count is None:
        return Cell("–", Tone.QUIET)
    return Cell(f"{count}/{most}!", Tone.WARN) if count >= most else Cell(f"{count}/{most}")


def name_of(user: UserRow) -> str:
    """What the user is called: by the account's name where there is one."""
    return f"{user.user_id} ({user.user_name})" if user.user_name else user.user_id


def _has(user: UserRow) -> str:
    apps = room(user) or tn("{count} app", "{count} apps", len(user.apps))
    waiting = tn("{count} job waits", "{count} jobs wait", user.waiting)
    runs = tn("{count} runs", "{count} run", user.running)
    return " · ".join((apps, _place(user), waiting, runs))


def _account(user: UserRow, scene: Scene) -> str:
    """Role, standing and times of the account."""
    if user.role is None:
        return t("no account is known of this user")
    made = t("made {age} ago", age=span(seconds_between(scene.now, user.create_time)))
    login = t("never logged in")
    if user.last_login_time is not None:
        login = t("last login {age} ago", age=span(seconds_between(scene.now, user.last_login_time)))
    state = state_cell(user).text.partition(" ")[2]
    return " · ".join((t("role {role}", role=user.role.value), state, made, login))


def _place(user: UserRow) -> str:
    return t("workspace on {node}", node=user.node) if user.node else t("no workspace")


def room(user: UserRow) -> str:
    """How much of what the user may have is there."""
    if user.owned is None or user.live is None:
        return ""
    apps = t("{count} of {most} apps", count=user.owned, most=MOST_APPS)
    return f"{apps} · {t('{count} of {most} live', count=user.live, most=MOST_LIVE_APPS)}"


def sheet(user: UserRow, scene: Scene) -> tuple[str, ...]:
    """What is known of one user in four lines."""
    return (
        line(f"{t('user {user}', user=name_of(user))} · {_account(user, scene)}"),
        line(_has(user)),
        line(
            t(
                "{succeeded} succeeded, {failed} failed among the jobs that are shown",
                succeeded=user.succeeded,
                failed=user.failed,
            )
        ),
        line(t("apps {names}", names=", ".join(user.apps)), 400),
    )


def _sources(model: Model) -> tuple[object, ...]:
    beside = model.beside
    known = tuple(beside.of(each) for each in (topics.ACCOUNTS, topics.OWNED_APPS, topics.HOMES))
    read = topics.OWNED_APPS in beside.fetched and beside.fetched[topics.OWNED_APPS].read_at is not None
    return (beside.backlog, beside.backlog.version, *known, read)


USERS: Final = ViewSpec[UserRow](
    name="users",
    title="Users",
    objects=Derived(_sources, _rows),
    order="user",
    words=lambda user, _: line(
        f"{user.user_id} {user.user_name or ''} {user.role.value if user.role else ''} {user.node or ''} "
        f"{' '.join(user.apps)}"
    ),
    sheet=sheet,
    empty="No user is known yet.",
    fields=(
        Field(
            "user",
            Column("USER", 6),
            lambda user, _: cell(user.user_id, Tone.STRONG),
            lambda user, _: by_number(int(user.user_id) if user.user_id.isdecimal() else None),
        ),
        worded("name", Column("NAME", 14), lambda user: user.user_name),
        worded("role", Column("ROLE", 8), lambda user: user.role.value if user.role else None),
        Field(
            "state",
            Column("ACCOUNT", 10),
            lambda user, _: state_cell(user),
            lambda user, _: by_number(user.enabled),
            lambda user, _: "" if user.enabled is None else "enabled" if user.enabled else "disabled",
        ),
        Field(
            "apps",
            Column("APPS", 6, right=True),
            lambda user, _: Cell(f"{len(user.apps)}") if user.owned is None else of_most(user.owned, MOST_APPS),
            lambda user, _: by_number(len(user.apps) if user.owned is None else user.owned),
            lambda user, _: str(len(user.apps) if user.owned is None else user.owned),
        ),
        Field(
            "live",
            Column("LIVE", 5, right=True),
            lambda user, _: of_most(user.live, MOST_LIVE_APPS),
            lambda user, _: by_number(user.live),
            lambda user, _: "" if user.live is None else str(user.live),
        ),
        worded("node", Column("WORKSPACE", 14, drop=4), lambda user: user.node),
        aged("login", Column("LOGIN", 7, right=True, drop=3), lambda user: user.last_login_time),
        aged("created", Column("MADE", 7, right=True, drop=5), lambda user: user.create_time),
        counted("waiting", Column("WAIT", 5, right=True, drop=6), lambda user: user.waiting),
        counted("running", Column("RUN", 5, right=True, drop=7), lambda user: user.running),
        counted("succeeded", Column("DONE", 6, right=True, drop=8), lambda user: user.succeeded),
        counted("failed", Column("FAIL", 5, right=True, drop=2), lambda user: user.failed),
        worded("names", Column("THEIR APPS", 0, flex=True), lambda user: ", ".join(user.apps), Tone.QUIET),
    ),
)
