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
        todo = "See whether the machine and its agent run; if it is lost, drain it so that its apps start elsewhere."
        yield Alert(level=_BAD, what=words or "it is silent", todo=todo, **about)
    elif node.health is NodeHealth.UNHEALTHY:
        yield Alert(level=_BAD, what=words or "it is unhealthy", todo=_room_todo(node), **about)
    elif node.health is NodeHealth.DRAINING:
        yield Alert(level=_WARN, what=words or "it takes no new apps", todo=_room_todo(node), **about)
    if node.inodes_free_pct is not None and node.inodes_free_pct < DRAIN_PERCENT:
        level = _BAD if node.inodes_free_pct < FLOOR_PERCENT else _WARN
        todo = "Remove what makes many small files: old images and logs of containers; or move apps away."
        yield Alert(
            level=level, what=f"{node.inodes_free_pct:.0f} % of its inodes free", todo=todo, **about | _at("inodes")
        )
    left = model.beside.trends.seconds_to_full(node)
    if left is not None and left < _SOON_FULL_SECONDS:
        todo = "Look which app writes (Enter), stop it or move apps away with d."
        what = f"full in {span(left)} if it goes on like this, {size(node.disk_free_bytes)} are free"
        yield Alert(level=_WARN, what=what, todo=todo, **about | _at("full"))
    yield from _vital_alerts(node, about)


def _at(part: str) -> dict[str, str]:
    return {"kind": f"node:{part}"}


def _room_todo(node: NodeView) -> str:
    if node.disk_free_pct is not None and node.disk_free_pct < DRAIN_PERCENT:
        return "Move apps away with d, or give the engine's disk more room."
    return "Look at the node with Enter."


def _vital_alerts(node: NodeView, about: dict[str, str]) -> Iterator[Alert]:
    vitals = node.vitals
    if vitals is None:
        return
    if vitals.engine_problem:
        todo = "See the container engine's log on the node, and restart it."
        yield Alert(level=_BAD, what=f"engine: {vitals.engine_problem}", todo=todo, **about | _at("engine"))
    if vitals.gateway_problem:
        todo = "See the gateway's log on the node: its apps may be unreachable."
        yield Alert(level=_BAD, what=f"gateway: {vitals.gateway_problem}", todo=todo, **about | _at("gateway"))
    if vitals.collection is not None and vitals.collection.problem:
        todo = "See the agent's log on the node: superfluous images stay until this works."
        yield Alert(
            level=_WARN, what=f"collection: {vitals.collection.problem}", todo=todo, **about | _at("collection")
        )
    for app in vitals.unwell:
        crashed = app.health is AppHealth.CRASHED
        what = f"{app.health.value} on {node.name}: {app.reason or 'no reason told'}"
        todo = f"Read funai app-logs {app.app_id}; go back with funai rollback {app.app_id}."
        yield Alert(
            level=_BAD if crashed else _WARN, kind="app", subject=app.app_id, name=app.app_id, what=what, todo=todo
        )


def _runner_alerts(model: Model) -> Iterator[Alert]:
    healthy = [each for each in model.runners.values() if each.health is RunnerHealth.HEALTHY]
    waiting = model.beside.backlog.waiting
    if not healthy and model.jobs:
        todo = "Start a runner; jobs wait until one asks for work."
        yield Alert(level=_BAD, kind="runners", subject="", name="runners", what="no runner is heard", todo=todo)
    for runner in healthy:
        if runner.vitals is not None and runner.vitals.pause is not None:
            what = f"takes no work: {runner.vitals.pause.message}"
            todo = "Make room on its disk, or see its log; it goes on by itself."
            yield Alert(
                level=_WARN, kind="runner", subject=runner.runner_id, name=runner.runner_id, what=what, todo=todo
            )
    stale = [each.runner_id for each in model.runners.values() if each.health is RunnerHealth.STALE]
    if stale and waiting:
        what = f"{len(stale)} not heard while {waiting} jobs wait: {', '.join(sorted(stale)[:3])}"
        todo = "Restart them, if they are still meant to run."
        yield Alert(level=_WARN, kind="runners", subject="stale", name="runners", what=what, todo=todo)


def _queue_alerts(model: Model) -> Iterator[Alert]:
    backlog = model.beside.backlog
    longest = backlog.waits_longest(model.at)
    if longest is not None and longest[1] > _LONG_WAIT_SECONDS:
        job = model.jobs.get(longest[0])
        waits = job.waiting_for.message if job is not None and job.waiting_for else "nobody takes it"
        what = f"has waited {span(longest[1])}: {waits}"
        level = _BAD if longest[1] > _VERY_LONG_WAIT_SECONDS else _WARN
        todo = "Remove what it waits for, or cancel it with c."
        yield Alert(level=level, kind="job", subject=longest[0], name=short(longest[0]), what=what, todo=todo)
    ended = backlog.ended(model.at, _HOUR_SECONDS)
    if ended.rate is not None and ended.succeeded + ended.failed >= _FEWEST_ENDED and ended.rate < _LOW_RATE_PERCENT:
        what = f"{ended.failed} of {ended.failed + ended.succeeded} jobs failed in the last hour"
        todo = "In Jobs, filter status:failed and compare their reasons."
        yield Alert(level=_WARN, kind="jobs", subject="", name="jobs", what=what, todo=todo)


def _drain_alert(drain: DrainView) -> Iterator[Alert]:
    about = {"kind": "drain", "subject": str(drain.id), "name": drain.node}
    if drain.state is DrainState.PAUSED:
        todo = f"Go on with funai drain-resume {drain.id}, or take it back with funai drain-undo {drain.id}."
        yield Alert(level=_WARN, what=f"drain {drain.id} is paused: {drain.summary}", todo=todo, **about)
    elif drain.state.live and drain.counts.get(MoveState.FAILED):
        failed = drain.counts[MoveState.FAILED]
        todo = "Look at the moves with Enter; those apps stay where they serve."
        yield Alert(level=_WARN, what=f"{failed} moves of drain {drain.id} failed", todo=todo, **about)


def _ledger_alerts(model: Model) -> Iterator[Alert]:
    operations: list[OperationView] = list(model.beside.of(topics.OPERATIONS).values())
    stuck = [each for each in operations if not each.state.final and each.attempts >= _MANY_TRIES]
    if stuck:
        what = f"{len(stuck)} stops or deletes are not done yet: {stuck[0].message or stuck[0].app_id}"
        todo = "Look at them with Enter; if a node is gone for good, delete the node."
        yield Alert(level=_WARN, kind="operations", subject="", name="operations", what=what, todo=todo)
    deliveries: list[DeliveryView] = list(model.beside.of(topics.WEBHOOKS).values())
    lost = sum(each.state is DeliveryState.FAILED for each in deliveries)
    if lost:
        todo = "See that the receiver works, then have them sent again with funai webhooks retry NUMBER."
        what = f"{lost} results of jobs were given up"
        yield Alert(level=_WARN, kind="webhooks", subject="", name="webhooks", what=what, todo=todo)


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
    return Cell("✗ BAD", Tone.BAD) if alert.level == _BAD else Cell("! WARN", Tone.WARN)


def sheet(alert: Alert, _: Scene) -> tuple[str, ...]:
    """The whole of one alert in three lines."""
    return (line(f"{alert.kind.partition(':')[0]} {alert.name}"), line(alert.what), line(f"To do: {alert.todo}"))


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
