"""Apps: how each stands, where, and what stands in its way. Pure."""

from collections.abc import Mapping
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, seconds_between, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.placements import since
from console.live.views.spec import ViewSpec, signed, worded
from console.live.words import t, tn
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


def condition_cell(condition: AppCondition) -> Cell:
    """Sign and word of how an app stands."""
    sign, tone = _CONDITION[condition]
    return Cell(f"{sign} {condition.value}", tone)


def why(app: AppView) -> str:
    """What it waits for or suffers from; else what its last deployment came to."""
    last = app.run.last_error if app.run and app.run.last_error else ""
    return app.message or last


def _node(app: AppView) -> str | None:
    return app.node_name or (f"node {app.node_id}" if app.node_id is not None else None)


def _words(app: AppView, _: Scene) -> str:
    return line(f"{app.app_id} {app.user_id or ''} {app.condition.value} {_node(app) or ''} {why(app)}")


def _pending(operation: OperationView) -> str:
    why_not = operation.message or operation.state.value
    tried = tn("tried {count} time", "tried {count} times", operation.attempts)
    return f"{t('{kind} waits: {why}', kind=operation.kind.value, why=why_not)}, {tried}"


def sheet(app: AppView, scene: Scene) -> tuple[str, ...]:
    """What is known of one app in four lines."""
    run = app.run
    deployed = since(run.last_deployed_at) if run and run.last_deployed_at else None
    active = since(run.last_active_at) if run and run.last_active_at else None
    ages = {"deployed": span(seconds_between(scene.now, deployed)), "active": span(seconds_between(scene.now, active))}
    lived = t("deployed {age} ago", age=ages["deployed"]) if deployed else t("never deployed")
    used = f" · {t('last active {age} ago', age=ages['active'])}" if active else ""
    job = app.job_id or (run.last_job_id if run else None)
    where = t("{state} on {node}", state=app.condition.value, node=_node(app) or t("no node"))
    user = t("user {user}", user=app.user_id or t("unknown"))
    return (
        line(f"{t('app {app}', app=app.app_id)} · {user} · {where}"),
        line(f"{t('job {job}', job=short(job)) if job else t('no job')} · {lived}{used}"),
        line(why(app) or t("nothing is wrong with it")),
        line(
            "; ".join(map(_pending, app.operations)) or f"funai app-logs {app.app_id} -f · funai app-shell {app.app_id}"
        ),
    )


APPS: Final = ViewSpec[AppView](
    name="apps",
    title="Apps",
    objects=lambda model: model.beside.of(topics.APPS),
    order="app",
    words=_words,
    sheet=sheet,
    empty="No apps yet. Press n to deploy one.",
    fields=(
        signed("state", Column("STATE", 11), lambda app: condition_cell(app.condition)),
        worded("app", Column("APP", 14), lambda app: app.app_id, Tone.STRONG),
        worded("node", Column("NODE", 14), _node),
        worded("user", Column("USER", 8, drop=1), lambda app: app.user_id),
        worded("job", Column("JOB", 8, drop=2), lambda app: short(app.job_id) if app.job_id else None, Tone.BUSY),
        worded("why", Column("WHY", 0, flex=True), why),
    ),
)
