"""Apps: whose they are, how each stands, what runs of it and where, and what stands in its way. Pure.

The control plane knows how an app runs, the API entry whose it is and what it is called; a row says what both know. An
app that only one of them knows has a row all the same.
"""

from collections.abc import Mapping
from typing import Any, Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.placements import since
from console.live.views.spec import Field, ViewSpec, aged, by_number, signed, worded
from console.live.words import later, t, tn
from protocol.api import AppDeletionView, AppInfo, AppState, RepoStatus
from protocol.app_details import AppDetail
from protocol.apps import AppCondition, AppView
from protocol.operations import OperationView

_CONDITION: Final[Mapping[AppCondition, tuple[str, Tone]]] = {
    AppCondition.QUEUED: ("○", Tone.WARN),
    AppCondition.DEPLOYING: ("▶", Tone.BUSY),
    AppCondition.RUNNING: ("✓", Tone.GOOD),
    AppCondition.STOPPING: ("▶", Tone.BUSY),
    AppCondition.STOPPED: ("–", Tone.QUIET),
    AppCondition.DELETING: ("▶", Tone.WARN),
    AppCondition.FAILED: ("✗", Tone.BAD),
    AppCondition.CRASHED: ("✗", Tone.BAD),
    AppCondition.UNHEALTHY: ("!", Tone.WARN),
    AppCondition.UNKNOWN: ("?", Tone.QUIET),
}
#: What the app's owner sees of it, by the number that their clients get.
_STATUS: Final[Mapping[AppState, tuple[str, Tone]]] = {
    AppState.CREATED: (later("created"), Tone.QUIET),
    AppState.UPLOADED: (later("uploaded"), Tone.QUIET),
    AppState.DEPLOYING: (later("deploying"), Tone.BUSY),
    AppState.READY: (later("ready"), Tone.GOOD),
    AppState.FAILED: (later("failed"), Tone.BAD),
    AppState.DISABLED: (later("disabled"), Tone.WARN),
}
_COMMIT_DIGITS: Final = 8


class AppRow(AppView):
    """What both know of one app. `status` is there where the API entry knows it; `deletion` while it is being deleted,
    and then nobody owns it any more."""

    app_name: str | None = None
    status: AppState | None = None
    last_deploy_error: str | None = None
    url: str | None = None
    repo_ssh_url: str | None = None
    repo_status: RepoStatus | None = None
    repo_reason: str | None = None
    stop_pending: bool = False
    deletion: AppDeletionView | None = None


def row(view: AppView | None, info: AppInfo | None, deletion: AppDeletionView | None, app_id: str) -> AppRow:
    """What is known of the app. Everything was checked when it came, and is not checked again."""
    known: dict[str, Any] = dict(view) if view is not None else {"condition": AppCondition.UNKNOWN}
    if info is not None:
        known |= {
            "user_id": str(info.user_id),
            "app_name": info.app_name,
            "status": info.app_status,
            "last_deploy_error": info.last_deploy_error,
            "url": info.deploy_url,
            "repo_ssh_url": info.repo_ssh_url,
            "repo_status": info.repo_status,
            "repo_reason": info.repo_reason,
            "stop_pending": info.stop_pending,
        }
    elif deletion is not None:
        gone = {"user_id": str(deletion.user_id), "app_name": deletion.app_name, "deletion": deletion}
        known |= {**gone, "condition": AppCondition.DELETING}
    return AppRow.model_construct(**{**known, "app_id": app_id})


def row_of(model: Model, app_id: str) -> AppRow | None:
    """The row of one app, from whatever was read; None when nothing is known of it."""
    beside = model.beside
    view: AppView | None = beside.of(topics.app(app_id)).get(app_id) or beside.of(topics.APPS).get(app_id)
    info, deletion = beside.of(topics.OWNED_APPS).get(app_id), beside.of(topics.DELETIONS).get(app_id)
    detail: AppDetail | None = beside.of(topics.app_detail(app_id)).get(app_id)
    if detail is not None and detail.deletion is not None:
        # Read more often than the lists, and it is known of what nothing is left of any more.
        info, deletion = None, detail.deletion
    placement = model.placements.get(app_id)
    if view is None and placement is not None:
        view = AppView(app_id=app_id, condition=AppCondition.UNKNOWN, node_id=placement.node_id)
    return row(view, info, deletion, app_id) if view or info or deletion else None


def _rows(model: Model) -> dict[str, AppRow]:
    views, infos = model.beside.of(topics.APPS), model.beside.of(topics.OWNED_APPS)
    deletions = model.beside.of(topics.DELETIONS)
    return {
        app_id: row(views.get(app_id), infos.get(app_id), deletions.get(app_id), app_id)
        for app_id in {**views, **infos, **deletions}
    }


def condition_cell(condition: AppCondition) -> Cell:
    """Sign and word of how an app stands."""
    sign, tone = _CONDITION[condition]
    return Cell(f"{sign} {condition.value}", tone)


def state_cell(app: AppView) -> Cell:
    """How it stands at the control plane; of what that does not know, that it never ran."""
    if isinstance(app, AppRow) and app.deletion is not None and app.deletion.complete:
        return Cell("– DELETED", Tone.QUIET)
    if isinstance(app, AppRow) and app.condition is AppCondition.UNKNOWN and app.status is AppState.CREATED:
        return Cell("– NEVER RAN", Tone.QUIET)
    return condition_cell(app.condition)


def status_cell(app: AppRow, _: Scene) -> Cell:
    """Number and word of what its owner sees."""
    if app.status is None:
        return Cell("–", Tone.QUIET)
    word, tone = _STATUS[app.status]
    return Cell(f"{app.status.value} {t(word)}", tone)


def why(app: AppView) -> str:
    """What it waits for or suffers from; else what its last deployment came to."""
    if isinstance(app, AppRow) and app.deletion is not None:
        return deleting(app.deletion)
    last = app.run.last_error if app.run and app.run.last_error else ""
    found = app.message or last
    if isinstance(app, AppRow):
        found = found or app.last_deploy_error or (t("its node has yet to stop it") if app.stop_pending else "")
        found = " · ".join(filter(None, (found, unready(app))))
    return found


def unready(app: AppRow) -> str:
    """What is wrong with its repository."""
    match app.repo_status:
        case RepoStatus.PENDING:
            return t("its repository is not set up yet")
        case RepoStatus.FAILED:
            return t("its repository is not set up: {why}", why=app.repo_reason or "?")
        case _:
            return ""


def deleting(deletion: AppDeletionView) -> str:
    """How far a deletion is, and what is in its way."""
    if deletion.complete:
        return t("was deleted; nothing is left of it")
    left = ", ".join(part.value for part in deletion.left) or t("nothing")
    said = t("is being deleted; left: {parts}", parts=left)
    if deletion.problem:
        tried = tn("tried {count} time", "tried {count} times", deletion.attempts) if deletion.attempts else ""
        return " · ".join(filter(None, (said, deletion.problem, tried)))
    return said


def running(app: AppView) -> str:
    """The release that runs, with its commit."""
    if app.release is None:
        return ""
    return f"{app.release} {app.commit[:_COMMIT_DIGITS]}" if app.commit else f"{app.release}"


def _node(app: AppView) -> str | None:
    return app.node_name or (f"node {app.node_id}" if app.node_id is not None else None)


def _words(app: AppRow, scene: Scene) -> str:
    named = f"{app.app_id} {app.app_name or ''} {app.user_id or ''} {app.condition.value}"
    return line(f"{named} {status_cell(app, scene).text} {_node(app) or ''} {running(app)} {why(app)}")


def _pending(operation: OperationView) -> str:
    why_not = operation.message or operation.state.value
    tried = tn("tried {count} time", "tried {count} times", operation.attempts)
    return f"{t('{kind} waits: {why}', kind=operation.kind.value, why=why_not)}, {tried}"


def _deployed(app: AppView) -> str:
    return t("release {number}", number=running(app)) if app.release is not None else ""


def _ages(app: AppView, scene: Scene) -> str:
    run = app.run
    deployed = since(run.last_deployed_at) if run and run.last_deployed_at else None
    active = since(run.last_active_at) if run and run.last_active_at else None
    lived = t("never deployed")
    if deployed:
        lived = t("deployed {age} ago", age=span(seconds_between(scene.now, deployed)))
    used = t("last active {age} ago", age=span(seconds_between(scene.now, active))) if active else ""
    return " · ".join(filter(None, (lived, used)))


def sheet(app: AppRow, scene: Scene) -> tuple[str, ...]:
    """What is known of one app in four lines."""
    job = app.job_id or (app.run.last_job_id if app.run else None)
    state = state_cell(app).text.partition(" ")[2]
    where = t("{state} on {node}", state=state, node=_node(app) or t("no node"))
    user = t("user {user}", user=app.user_id or t("unknown"))
    named = f" {app.app_name}" if app.app_name else ""
    made = (t("job {job}", job=short(job)) if job else t("no job"), _ages(app, scene), _deployed(app))
    waits = "; ".join(map(_pending, app.operations))
    look = f"funai app-logs {app.app_id} -f · funai app-shell {app.app_id}"
    return (
        line(f"{t('app {app}', app=app.app_id)}{named} · {user} · {where}"),
        line(" · ".join(filter(None, (*made, waits)))),
        line(why(app) or t("nothing is wrong with it")),
        line(" · ".join(filter(None, (app.url, app.repo_ssh_url))) or look),
    )


APPS: Final = ViewSpec[AppRow](
    name="apps",
    title="Apps",
    objects=Derived(
        lambda model: tuple(model.beside.of(each) for each in (topics.APPS, topics.OWNED_APPS, topics.DELETIONS)),
        _rows,
    ),
    order="app",
    words=_words,
    sheet=sheet,
    empty="No apps yet. Press n to deploy one.",
    fields=(
        signed("state", Column("STATE", 11), state_cell),
        worded("app", Column("APP", 14), lambda app: app.app_id, Tone.STRONG),
        worded("name", Column("NAME", 14, drop=3), lambda app: app.app_name),
        worded("node", Column("NODE", 12, drop=1), _node),
        worded("user", Column("USER", 5, drop=2), lambda app: app.user_id),
        Field(
            "status",
            Column("STATUS", 11, drop=6),
            status_cell,
            lambda app, _: by_number(app.status),
            lambda app, _: app.status.name if app.status is not None else "",
        ),
        Field(
            "release",
            Column("RELEASE", 11, drop=5),
            lambda app, _: cell(running(app)),
            lambda app, _: by_number(app.release),
        ),
        worded("job", Column("JOB", 8, drop=8), lambda app: short(app.job_id) if app.job_id else None, Tone.BUSY),
        aged(
            "deployed",
            Column("DEPLOYED", 8, right=True, drop=7),
            lambda app: since(app.run.last_deployed_at) if app.run and app.run.last_deployed_at else None,
        ),
        worded("why", Column("WHY", 0, flex=True), why),
    ),
)
