"""What needs an operator, worst first, each with what to do about it. Pure."""

from collections.abc import Iterator
from typing import Final

from console.live import topics
from console.live.cells import DRAIN_PERCENT, FLOOR_PERCENT, Cell, Column, Tone, size, span
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.spec import Field, ViewSpec, by_number, worded
from console.live.words import later, t, tn
from protocol.base import Wire
from protocol.drains import DrainState, DrainView, MoveState
from protocol.nodes import AppHealth, NodeHealth, NodeView, RunnerHealth
from protocol.operations import OperationView
from protocol.webhooks import DeliveryState, DeliveryView

_BAD: Final = 2
_WARN: Final = 1
_LONG_WAIT_SECONDS: Final = 600.0
_VERY_LONG_WAIT_SECONDS: Final = 1800.0
_SOON_FULL_SECONDS: Final = 6 * 3600.0
_HOUR_SECONDS: Final = 3600.0
_FEWEST_ENDED: Final = 5
_LOW_RATE_PERCENT: Final = 80.0
_MANY_TRIES: Final = 5
#: What an alert about one object is about.
_KINDS: Final = {
    "node": later("node"),
    "app": later("app"),
    "runner": later("runner"),
    "job": later("job"),
    "drain": later("drain"),
}
_EVERY_SECONDS: Final = 5
_EVERY_VERSIONS: Final = 16


class Alert(Wire):
    """One thing that needs somebody: `kind` and `subject` say what it is about and where Enter leads to."""

    level: int
    kind: str
    subject: str
    name: str
    what: str
    todo: str


def _node_alerts(node: NodeView, model: Model) -> Iterator[Alert]:
    about = {"kind": "node", "subject": str(node.node_id), "name": node.name}
    words = "; ".join(node.reasons)
    if node.health is NodeHealth.STALE:
        todo = t("See whether the machine and its agent run; if it is lost, drain it so that its apps start elsewhere.")
        yield Alert(level=_BAD, what=words or t("it is silent"), todo=todo, **about)
    elif node.health is NodeHealth.UNHEALTHY:
        yield Alert(level=_BAD, what=words or t("it is unhealthy"), todo=_room_todo(node), **about)
    elif node.health is NodeHealth.DRAINING:
        yield Alert(level=_WARN, what=words or t("it takes no new apps"), todo=_room_todo(node), **about)
    if node.inodes_free_pct is not None and node.inodes_free_pct < DRAIN_PERCENT:
        level = _BAD if node.inodes_free_pct < FLOOR_PERCENT else _WARN
        todo = t("Remove what makes many small files: old images and logs of containers; or move apps away.")
        what = t("{percent} % of its inodes free", percent=f"{node.inodes_free_pct:.0f}")
        yield Alert(level=level, what=what, todo=todo, **about | _at("inodes"))
    left = model.beside.trends.seconds_to_full(node)
    if left is not None and left < _SOON_FULL_SECONDS:
        todo = t("Look which app writes (Enter), stop it or move apps away with d.")
        free = size(node.disk_free_bytes)
        what = t("full in {time} if it goes on like this, {size} are free", time=span(left), size=free)
        yield Alert(level=_WARN, what=what, todo=todo, **about | _at("full"))
    yield from _vital_alerts(node, about)


def _at(part: str) -> dict[str, str]:
    return {"kind": f"node:{part}"}


def _room_todo(node: NodeView) -> str:
    if node.disk_free_pct is not None and node.disk_free_pct < DRAIN_PERCENT:
        return t("Move apps away with d, or give the engine's disk more room.")
    return t("Look at the node with Enter.")


def _vital_alerts(node: NodeView, about: dict[str, str]) -> Iterator[Alert]:
    vitals = node.vitals
    if vitals is None:
        return
    if vitals.engine_problem:
        todo = t("See the container engine's log on the node, and restart it.")
        what = t("engine: {problem}", problem=vitals.engine_problem)
        yield Alert(level=_BAD, what=what, todo=todo, **about | _at("engine"))
    if vitals.gateway_problem:
        todo = t("See the gateway's log on the node: its apps may be unreachable.")
        what = t("gateway: {problem}", problem=vitals.gateway_problem)
        yield Alert(level=_BAD, what=what, todo=todo, **about | _at("gateway"))
    if vitals.collection is not None and vitals.collection.problem:
        todo = t("See the agent's log on the node: superfluous images stay until this works.")
        what = t("collection: {problem}", problem=vitals.collection.problem)
        yield Alert(level=_WARN, what=what, todo=todo, **about | _at("collection"))
    for app in vitals.unwell:
        crashed = app.health is AppHealth.CRASHED
        why = app.reason or t("no reason told")
        what = t("{state} on {node}: {why}", state=app.health.value, node=node.name, why=why)
        todo = t("Read funai app-logs {app}; go back with b in the view Apps.", app=app.app_id)
        yield Alert(
            level=_BAD if crashed else _WARN, kind="app", subject=app.app_id, name=app.app_id, what=what, todo=todo
        )


def _runner_alerts(model: Model) -> Iterator[Alert]:
    healthy = [each for each in model.runners.values() if each.health is RunnerHealth.HEALTHY]
    waiting = model.beside.backlog.waiting
    if not healthy and model.jobs:
        todo = t("Start a runner; jobs wait until one asks for work.")
        what = t("no runner is heard")
        yield Alert(level=_BAD, kind="runners", subject="", name=t("runners"), what=what, todo=todo)
    for runner in healthy:
        if runner.vitals is not None and runner.vitals.pause is not None:
            what = t("takes no work: {why}", why=runner.vitals.pause.message)
            todo = t("Make room on its disk, or see its log; it goes on by itself.")
            yield Alert(
                level=_WARN, kind="runner", subject=runner.runner_id, name=runner.runner_id, what=what, todo=todo
            )
    stale = [each.runner_id for each in model.runners.values() if each.health is RunnerHealth.STALE]
    if stale and waiting:
        what = tn(
            "{stale} not heard while {count} job waits: {names}",
            "{stale} not heard while {count} jobs wait: {names}",
            waiting,
            stale=len(stale),
            names=", ".join(sorted(stale)[:3]),
        )
        todo = t("Restart them, if they are still meant to run.")
        yield Alert(level=_WARN, kind="runners", subject="stale", name=t("runners"), what=what, todo=todo)


def _queue_alerts(model: Model) -> Iterator[Alert]:
    backlog = model.beside.backlog
    longest = backlog.waits_longest(model.at)
    if longest is not None and longest[1] > _LONG_WAIT_SECONDS:
        job = model.jobs.get(longest[0])
        why = job.waiting_for.message if job is not None and job.waiting_for else t("nobody takes it")
        what = t("has waited {time}: {why}", time=span(longest[1]), why=why)
        level = _BAD if longest[1] > _VERY_LONG_WAIT_SECONDS else _WARN
        todo = t("Remove what it waits for, or cancel it with c.")
        yield Alert(level=level, kind="job", subject=longest[0], name=short(longest[0]), what=what, todo=todo)
    ended = backlog.ended(model.at, _HOUR_SECONDS)
    if ended.rate is not None and ended.succeeded + ended.failed >= _FEWEST_ENDED and ended.rate < _LOW_RATE_PERCENT:
        every = ended.failed + ended.succeeded
        what = t("{failed} of {count} jobs failed in the last hour", failed=ended.failed, count=every)
        todo = t("In Jobs, filter status:failed and compare their reasons.")
        yield Alert(level=_WARN, kind="jobs", subject="", name=t("jobs"), what=what, todo=todo)


def _drain_alert(drain: DrainView) -> Iterator[Alert]:
    about = {"kind": "drain", "subject": str(drain.id), "name": drain.node}
    if drain.state is DrainState.PAUSED:
        todo = t(
            "Go on with funai drain-resume {number}, or take it back with funai drain-undo {number}.", number=drain.id
        )
        what = t("drain {number} is paused: {summary}", number=drain.id, summary=drain.summary)
        yield Alert(level=_WARN, what=what, todo=todo, **about)
    elif drain.state.live and drain.counts.get(MoveState.FAILED):
        failed = drain.counts[MoveState.FAILED]
        todo = t("Look at the moves with Enter; those apps stay where they serve.")
        what = tn(
            "{count} move of drain {number} failed", "{count} moves of drain {number} failed", failed, number=drain.id
        )
        yield Alert(level=_WARN, what=what, todo=todo, **about)


def _ledger_alerts(model: Model) -> Iterator[Alert]:
    operations: list[OperationView] = list(model.beside.of(topics.OPERATIONS).values())
    stuck = [each for each in operations if not each.state.final and each.attempts >= _MANY_TRIES]
    if stuck:
        what = tn(
            "{count} stop or delete is not done yet: {why}",
            "{count} stops or deletes are not done yet: {why}",
            len(stuck),
            why=stuck[0].message or stuck[0].app_id,
        )
        todo = t("Look at them with Enter; if a node is gone for good, delete the node.")
        yield Alert(level=_WARN, kind="operations", subject="", name=t("operations"), what=what, todo=todo)
    deliveries: list[DeliveryView] = list(model.beside.of(topics.WEBHOOKS).values())
    lost = sum(each.state is DeliveryState.FAILED for each in deliveries)
    if lost:
        todo = t("See that the receiver works, then have them sent again with funai webhooks retry NUMBER.")
        what = tn("{count} result of a job was given up", "{count} results of jobs were given up", lost)
        yield Alert(level=_WARN, kind="webhooks", subject="", name=t("webhooks"), what=what, todo=todo)


def found(model: Model) -> dict[str, Alert]:
    """Every alert of a control plane."""
    every = [
        *(each for node in model.nodes.values() for each in _node_alerts(node, model)),
        *_runner_alerts(model),
        *_queue_alerts(model),
        *(each for drain in model.beside.of(topics.DRAINS).values() for each in _drain_alert(drain)),
        *_ledger_alerts(model),
    ]
    return {f"{each.kind}/{each.subject}": each for each in every}


def _sources(model: Model) -> tuple[object, ...]:
    """Jobs change all the time, so they are looked at now and then."""
    beside = model.beside
    ledgers = tuple(beside.of(topic) for topic in (topics.DRAINS, topics.OPERATIONS, topics.WEBHOOKS))
    moment = int(model.at.timestamp()) // _EVERY_SECONDS
    return (model.nodes, model.runners, *ledgers, moment, model.jobs.version // _EVERY_VERSIONS)


def _level(alert: Alert) -> Cell:
    return Cell(f"✗ {t('BAD')}", Tone.BAD) if alert.level == _BAD else Cell(f"! {t('WARN')}", Tone.WARN)


def sheet(alert: Alert, _: Scene) -> tuple[str, ...]:
    """The whole of one alert in three lines."""
    kind = alert.kind.partition(":")[0]
    about = f"{t(_KINDS[kind])} {alert.name}" if kind in _KINDS else alert.name
    return (line(about), line(alert.what), line(t("To do: {todo}", todo=alert.todo)))


OVERVIEW: Final = ViewSpec[Alert](
    name="overview",
    title="Overview",
    objects=Derived(_sources, found),
    order="level",
    words=lambda alert, _: line(f"{alert.kind} {alert.name} {alert.what} {alert.todo}"),
    sheet=sheet,
    empty="✓ Nothing needs you.",
    findable=False,
    fields=(
        Field(
            "level",
            Column("ALERT", 6),
            lambda alert, _: _level(alert),
            lambda alert, _: by_number(-alert.level),
            lambda alert, _: "bad" if alert.level == _BAD else "warn",
        ),
        worded("about", Column("ABOUT", 12), lambda alert: alert.name, Tone.STRONG),
        worded("what", Column("WHAT", 0, flex=True), lambda alert: alert.what),
        worded("todo", Column("WHAT TO DO", 46, drop=1), lambda alert: alert.todo, Tone.QUIET),
    ),
)
