"""Runtime nodes, placements, runners and the last known state of apps. Times are epoch milliseconds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocol.errors import NodeReason, RunnerPause
from protocol.nodes import (
    AppHealth,
    DiskLevel,
    NodeHealth,
    NodeHeartbeat,
    NodeVitals,
    PausedBecause,
    RunnerHealth,
    RunnerVitals,
    UnwellApp,
    UpsertNode,
)

_STALE_INTERVALS: Final = 2.5
_LONGEST_OBSERVED_MS: Final = 120_000
#: Levels of a node's disk at which it takes no new app, and not even another deployment of one that it has.
AT_NEW_APPS: Final = frozenset((DiskLevel.NO_NEW_APPS.value, DiskLevel.NO_PULLS.value, DiskLevel.STOPS_ONLY.value))
AT_REDEPLOYS: Final = frozenset((DiskLevel.STOPS_ONLY.value,))
_SPANS: Final = (
    *((seconds, f"{seconds} s") for seconds in (10, 30, 45)),
    *((minutes * 60, f"{minutes} min") for minutes in (1, 2, 5, 10, 20, 30, 45)),
    *((hours * 3600, f"{hours} h") for hours in (1, 2, 3, 6, 12)),
    *((days * 86_400, f"{days} d") for days in (1, 2, 3, 7, 14, 30, 90, 365)),
)


class NodeNotFound(LookupError):
    """There is no such node."""

    def __init__(self, which: str | int) -> None:
        super().__init__(f"there is no runtime node {which}")


class RunnerNotFound(LookupError):
    """There is no such runner."""

    def __init__(self, which: str) -> None:
        super().__init__(f"there is no runner {which}: none of that name has called lately")


class NodeInUse(Exception):
    """Something hangs on the node."""

    def __init__(self, name: str, obstacles: Sequence[str], hanging: "Hanging") -> None:
        super().__init__(f"node {name} is not deleted: {'; '.join(obstacles)}")
        self.data = {
            "placements": hanging.placements,
            "apps": [*hanging.apps, *hanging.runs],
            "operations": hanging.operations,
            "drain": hanging.drain,
            "obstacles": list(obstacles),
        }


class NodeDeleted(Exception):
    """An operator deleted the node, and its agent is to stay away."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"node {name} was deleted by an operator and is not registered by itself; register it again with "
            "POST /admin/runtime-nodes/upsert, or switch its agent off"
        )


@dataclass(frozen=True, slots=True)
class Hanging:
    """What hangs on a node: how many apps live there and some of them, apps that live elsewhere but were seen running
    there last, how many operations it still has to do, and its live drain plan."""

    placements: int
    apps: Sequence[str]
    runs: Sequence[str]
    operations: int
    drain: int | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted node whose agent is kept out; `at` is epoch milliseconds."""

    name: str
    node_id: int
    actor: str
    at: int


@dataclass(frozen=True, slots=True)
class RuntimeNode:
    """A machine that runs apps; the figures are those of its last heartbeat. `disk_level` is a value of `DiskLevel`,
    `vitals` the JSON of `NodeVitals`: only who shows a node reads it."""

    id: int
    name: str
    agent_base_url: str | None
    gateway_base_url: str | None
    enabled: bool = True
    weight: int = 100
    last_heartbeat_at: int | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    inodes_free_pct: float | None = None
    container_count: int | None = None
    interval_seconds: float | None = None
    version: str | None = None
    created_at: int = 0
    updated_at: int = 0
    inodes_total: int | None = None
    inodes_free: int | None = None
    labels: tuple[str, ...] = ()
    disk_level: str | None = None
    disk_words: str | None = None
    vitals: str | None = None


@dataclass(frozen=True, slots=True)
class ServingNode:
    """Where an app is reached: the node's name and what it says of its addresses."""

    name: str
    agent_base_url: str | None
    gateway_base_url: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is: a slug of `protocol.errors`, and words."""

    slug: str
    words: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Which node an app lives on. `reasons` say why there, as of the moment it was placed: they are kept, because the
    figures that led to it are not."""

    app_id: str
    node_id: int
    last_active_at: int
    created_at: int = 0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class AppRun:
    """The last known state of an app; `last_deployed_at` only moves on success. `built_by` is the runner that built it
    last."""

    app_id: str
    node_id: int | None = None
    last_job_id: str | None = None
    last_job_status: str | None = None
    last_error: str | None = None
    last_deployed_at: int | None = None
    last_active_at: int | None = None
    built_by: str | None = None


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner as last heard of; `labels` is None while it did not say what it offers. `vitals` are what it told of
    itself, at `vitals_at` (epoch ms). Since `drained_at` it gets no more work, because `drained_by` said so."""

    id: str
    last_seen_at: int
    slots: int | None = None
    version: str | None = None
    host: str | None = None
    labels: tuple[str, ...] | None = None
    vitals: RunnerVitals | None = None
    vitals_at: int = 0
    drained_at: int | None = None
    drained_by: str | None = None


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """What operators ask of nodes. `watched` is false when the registry is off: then every node counts as fresh."""

    stale_ms: int = 45_000
    disk_min_pct: float = 15.0
    disk_drain_pct: float = 25.0
    disk_aware: bool = True
    watched: bool = True


def stale_after_ms(node: RuntimeNode, policy: NodePolicy) -> int:
    """How old a heartbeat may be: the configured threshold, or 2.5 of the node's own intervals if that is longer."""
    return max(policy.stale_ms, int(_STALE_INTERVALS * 1000 * (node.interval_seconds or 0)))


def fresh(node: RuntimeNode, policy: NodePolicy, now: int) -> bool:
    """Whether the node was heard of recently enough."""
    if not policy.watched:
        return True
    return node.last_heartbeat_at is not None and node.last_heartbeat_at > now - stale_after_ms(node, policy)


def registered(beat: NodeHeartbeat, now: int) -> RuntimeNode:
    """A node first heard of: enabled, of the usual weight; the store gives it its id."""
    node = RuntimeNode(0, beat.node_name, beat.agent_base_url, beat.gateway_base_url, created_at=now)
    return heard(node, beat, now)


def heard(node: RuntimeNode, beat: NodeHeartbeat, now: int) -> RuntimeNode:
    """The node with the heartbeat's figures; a figure that is absent now is unknown now.

    Existing agents do not report their interval (60 s by default); it is taken from their last two heartbeats, so that
    a shorter threshold does not make them flap.
    """
    observed = None
    if node.last_heartbeat_at is not None and now - node.last_heartbeat_at <= _LONGEST_OBSERVED_MS:
        observed = max(0, now - node.last_heartbeat_at) / 1000
    return replace(
        node,
        agent_base_url=beat.agent_base_url,
        gateway_base_url=beat.gateway_base_url,
        last_heartbeat_at=now,
        disk_free_pct=beat.disk_free_pct,
        disk_free_bytes=beat.disk_free_bytes,
        disk_total_bytes=beat.disk_total_bytes,
        inodes_free_pct=beat.inodes_free_pct,
        container_count=beat.container_count,
        interval_seconds=beat.interval_seconds or observed,
        version=beat.version,
        updated_at=now,
        inodes_total=beat.inodes_total,
        inodes_free=beat.inodes_free,
        labels=node.labels if beat.labels is None else beat.labels,
        disk_level=beat.disk_level.value if beat.disk_level is not None else None,
        disk_words=beat.disk_words,
        vitals=beat.vitals.to_json().decode() if beat.vitals is not None else None,
    )


def happenings(node: RuntimeNode, beat: NodeHeartbeat) -> tuple[str, ...]:
    """What the heartbeat tells of beside figures: another address (`moved`), another level of its disk (`disk_level`),
    room that was made there (`collected`), other apps that do not serve as they should (`apps_unwell`), none of them
    any more (`apps_well`)."""
    found = ["moved"] if moved(node, beat) else []
    if beat.disk_level is not None and beat.disk_level.value != (node.disk_level or DiskLevel.OK.value):
        found.append("disk_level")
    if beat.vitals is not None:
        was, now = vitals_of(node) or NodeVitals(), beat.vitals
        if now.collection is not None and now.collection != was.collection:
            found.append("collected")
        if _health(now) != _health(was):
            found.append("apps_unwell" if now.unwell else "apps_well")
    return tuple(found)


def moved(node: RuntimeNode, beat: NodeHeartbeat) -> bool:
    """Whether the heartbeat tells of another address."""
    return (node.agent_base_url, node.gateway_base_url) != (beat.agent_base_url, beat.gateway_base_url)


def overtaken(node: RuntimeNode, at: int, now: int) -> bool:
    """Whether a later heartbeat than the one of `at` was written already. One from the future was not: that is a clock
    that was set back."""
    return node.last_heartbeat_at is not None and at < node.last_heartbeat_at <= now


def edited(node: RuntimeNode, order: UpsertNode, now: int) -> RuntimeNode:
    """The node as an operator wants it; what the order leaves out stays."""
    return replace(
        node,
        agent_base_url=order.agent_base_url,
        gateway_base_url=order.gateway_base_url,
        enabled=node.enabled if order.enabled is None else order.enabled,
        weight=node.weight if order.weight is None else order.weight,
        labels=node.labels if order.labels is None else order.labels,
        updated_at=now,
    )


def in_the_way(node: RuntimeNode, policy: NodePolicy, now: int, hanging: "Hanging", *, forced: bool) -> tuple[str, ...]:
    """Why the node may not be deleted, in words. Forced, only what came up meanwhile stands in the way."""
    found = []
    if hanging.placements:
        found.append(f"{hanging.placements} apps live there")
    if hanging.runs and not forced:
        found.append(f"{len(hanging.runs)} apps that live elsewhere still run there; deploy or stop them")
    if hanging.operations:
        found.append(f"it still has {hanging.operations} operations to carry out")
    if hanging.drain is not None:
        found.append(f"drain {hanging.drain} is not over; wait for it or cancel it")
    if not forced and node.enabled and fresh(node, policy, now):
        found.append("it is in service; disable it first")
    return tuple(found)


def health(node: RuntimeNode, policy: NodePolicy, now: int) -> tuple[NodeHealth, tuple[Reason, ...]]:
    """The node's label, and why it has that one: at least one reason."""
    if not node.enabled:
        return NodeHealth.DISABLED, (Reason(NodeReason.DISABLED, "disabled by an operator"),)
    if not policy.watched:
        return NodeHealth.UNKNOWN, (Reason(NodeReason.UNWATCHED, "the node registry is switched off"),)
    if not fresh(node, policy, now):
        slug = NodeReason.NEVER_HEARD if node.last_heartbeat_at is None else NodeReason.SILENT
        return NodeHealth.STALE, (Reason(slug, silence(node, now)),)
    low = (*shortages(node, policy.disk_min_pct), *held_back(node, AT_REDEPLOYS))
    if low:
        return NodeHealth.UNHEALTHY, low
    low = (*shortages(node, policy.disk_drain_pct), *held_back(node, AT_NEW_APPS))
    if low:
        said = any(each.slug == NodeReason.NO_NEW_APPS for each in low)
        return NodeHealth.DRAINING, low if said else (*low, Reason(NodeReason.NO_NEW_APPS, "no new apps"))
    floor = max(policy.disk_min_pct, policy.disk_drain_pct)
    words = f"heard of in time, and no figure that it gives is below {floor:g} % free"
    return NodeHealth.HEALTHY, (Reason(NodeReason.IN_SERVICE, words),)


def silence(node: RuntimeNode, now: int) -> str:
    """How long the node has not been heard of, in words that change seldom."""
    if node.last_heartbeat_at is None:
        return "never sent a heartbeat"
    return f"last heartbeat {roughly(now - node.last_heartbeat_at)} ago"


def roughly(milliseconds: int) -> str:
    """A length of time in words that change only a few times an hour: what is shown to many is sent when it changes."""
    passed = [words for least, words in _SPANS if milliseconds >= least * 1000]
    return f"more than {passed[-1]}" if passed else "moments"


def shortages(node: RuntimeNode, floor_pct: float) -> tuple[Reason, ...]:
    """Which of the node's figures are below the floor; unknown ones are not."""
    disk, inodes = node.disk_free_pct, node.inodes_free_pct
    if (disk is None or disk >= floor_pct) and (inodes is None or inodes >= floor_pct):
        return ()  # as nearly always: a placement looks at every node
    figures = ((NodeReason.LOW_DISK, "disk", disk), (NodeReason.LOW_INODES, "inodes", inodes))
    return tuple(
        Reason(slug, f"{value:.1f} % {name} free, below {floor_pct:g} %")
        for slug, name, value in figures
        if value is not None and value < floor_pct
    )


def held_back(node: RuntimeNode, levels: Collection[str]) -> tuple[Reason, ...]:
    """What the node's agent says of its disk, when that is one of these levels."""
    if node.disk_level is None or node.disk_level not in levels:
        return ()
    return (Reason(node.disk_level, node.disk_words or f"its agent says {node.disk_level} of its disk"),)


def unwell(node: RuntimeNode, app_id: str) -> UnwellApp | None:
    """What the node says of an app that does not serve as it should; None when it says nothing of it."""
    vitals = vitals_of(node)
    return next((app for app in vitals.unwell if app.app_id == app_id), None) if vitals is not None else None


def vitals_of(node: RuntimeNode) -> NodeVitals | None:
    """What the node said of itself last."""
    return NodeVitals.model_validate_json(node.vitals) if node.vitals is not None else None


def _health(vitals: NodeVitals) -> Mapping[str, AppHealth]:
    return {app.app_id: app.health for app in vitals.unwell}


def runner_health(runner: Runner, stale_ms: int, now: int) -> RunnerHealth:
    """Whether the runner was heard of recently enough."""
    return RunnerHealth.HEALTHY if runner.last_seen_at > now - stale_ms else RunnerHealth.STALE


def runner_vitals(runner: Runner, stale_ms: int, now: int) -> RunnerVitals | None:
    """What the runner told of itself lately. What it told before does not count: it may have been replaced since by one
    that tells nothing."""
    return runner.vitals if runner.vitals_at > now - stale_ms else None


def runner_pause(runner: Runner, stale_ms: int, now: int) -> PausedBecause | None:
    """Why the runner claims nothing now; None when it does."""
    if runner.drained_at is not None:
        return PausedBecause(
            reason=RunnerPause.DRAINED, message=f"it is drained by {runner.drained_by or 'an operator'}"
        )
    vitals = runner_vitals(runner, stale_ms, now)
    return vitals.pause if vitals else None
