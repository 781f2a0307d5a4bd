"""Why a pending job is not running.

The slugs are `protocol.errors.WaitReason`. The words name no age and no exact number of a long line: they are sent to
every watcher whenever they change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate
from daemons.deploy.domain.matching import warm_until
from daemons.deploy.domain.moves import obstacle_to_move, target_of
from daemons.deploy.domain.nodes import NodePolicy, Placement, Runner, RuntimeNode, roughly, runner_health, runner_pause
from daemons.deploy.domain.placement import Obstacle, obstacle_to_new_app, obstacle_to_redeploy, obstacle_to_return
from daemons.deploy.domain.views import when
from protocol.errors import WaitReason
from protocol.jobs import JobType, WaitingFor
from protocol.nodes import NodeObstacle, RunnerHealth

_NODES_NAMED: Final = 10
_RUNNERS_NAMED: Final = 5
_COUNTED: Final = 10


@dataclass(frozen=True, slots=True)
class Past:
    """What an app did before: the runner that built it last, when its last job ended (epoch ms), and whether it ever
    came up on a node."""

    built_by: str | None = None
    idle_at: int | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pending job may be waiting for, as of `now`. `settled` are apps that came up on their node once: only they
    are tied to it, unless the node is being drained. `held` says how many jobs each runner carries out, `pasts` what
    the apps did before, and `warm_ms` how long a job is kept for the runner that built its app last."""

    now: int
    nodes: Sequence[RuntimeNode]
    runners: Sequence[Runner]
    pending: int
    policy: NodePolicy
    runner_stale_ms: int
    settled: Collection[str] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    pasts: Mapping[str, Past] = field(default_factory=dict)
    warm_ms: int = 0


def explain(job: Job, running: Job | None, placement: Placement | None, around: Surroundings) -> WaitingFor:
    """The first thing that stands in the way; the last resort is that the job is simply next in line."""
    if running is not None:
        return WaitingFor(
            reason=WaitReason.APP_BUSY.value,
            message=f"the app is busy with job {running.id}",
            job_id=running.id,
            since=when(running.started_at or running.updated_at),
        )
    if job.not_before > around.now:
        text = f"attempt {job.attempt} lost its runner; the next one may start after a pause"
        return WaitingFor(reason=WaitReason.BACKOFF.value, message=text, until=when(job.not_before))
    node = _destination(job, around) if job.type is JobType.MIGRATE_APP else _node(job, placement, around)
    return node or _runner(job, around) or _line(job, around)


def _destination(job: Job, around: Surroundings) -> WaitingFor | None:
    target = target_of(job, around.nodes)
    if target is None:
        message = "the node that the app was to move to is not registered any more"
        return WaitingFor(reason=WaitReason.NO_NODE.value, message=message)
    obstacle = obstacle_to_move(target, around.policy, around.now)
    if obstacle is None:
        return None
    message = f"the app is to move to node {obstacle}"
    return WaitingFor(reason=obstacle.reason.value, message=message, nodes=(_told(obstacle),))


def _node(job: Job, placement: Placement | None, around: Surroundings) -> WaitingFor | None:
    home = next((node for node in around.nodes if placement and node.id == placement.node_id), None)
    obstacle = obstacle_to_redeploy(home, around.policy, around.now) if home else None
    if home is not None and obstacle is None:
        return None
    settled = home is not None and job.app_id in around.settled
    if home is not None and settled and "image" in job.payload:
        obstacle = obstacle_to_return(home, around.policy, around.now)
        if obstacle is None:
            return None
    if obstacle is not None and settled:
        message = f"the app lives on node {obstacle}"
        return WaitingFor(reason=obstacle.reason.value, message=message, nodes=(_told(obstacle),))
    obstacles: list[Obstacle] = []
    for node in around.nodes:
        found = obstacle_to_new_app(node, around.policy, around.now)
        if found is None:
            return None
        obstacles.append(found)
    return WaitingFor(
        reason=WaitReason.NO_NODE.value,
        message=f"no runtime node can take a new app: {_why(obstacles)}",
        nodes=tuple(map(_told, obstacles[:_NODES_NAMED])),
    )


def _why(obstacles: Sequence[Obstacle]) -> str:
    more = len(obstacles) - _NODES_NAMED
    named = [*map(str, obstacles[:_NODES_NAMED]), *([f"and {more} more"] if more > 0 else [])]
    return "; ".join(named) or "none is registered"


def _told(obstacle: Obstacle) -> NodeObstacle:
    return NodeObstacle(node=obstacle.node, reason=obstacle.reason.value, message=obstacle.message)


def _runner(job: Job, around: Surroundings) -> WaitingFor | None:
    healthy = [
        runner
        for runner in around.runners
        if runner_health(runner, around.runner_stale_ms, around.now) is RunnerHealth.HEALTHY
    ]
    if healthy:
        requires = frozenset(job.requires)
        able = [runner for runner in healthy if requires <= frozenset(runner.labels or ())]
        return _slots(job, able, around) if able else _labels(requires, [set(each.labels or ()) for each in healthy])
    reason = WaitReason.NO_RUNNER.value
    if not around.runners:
        return WaitingFor(reason=reason, message="no runner has called yet; start one")
    latest = max(runner.last_seen_at for runner in around.runners)
    text = f"no runner has called for {roughly(around.now - latest)}; start one"
    return WaitingFor(reason=reason, message=text, since=when(latest))


def _slots(job: Job, able: Sequence[Runner], around: Surroundings) -> WaitingFor | None:
    willing = [each for each in able if runner_pause(each, around.runner_stale_ms, around.now) is None]
    if not willing:
        return _paused(able, around)
    able = willing
    free = [each for each in able if each.slots is None or around.held.get(each.id, 0) < each.slots]
    if not free:
        text = f"all slots of the runners that could take it are in use: {_named([each.id for each in able], ', ')}"
        return WaitingFor(reason=WaitReason.RUNNERS_BUSY.value, message=text)
    past = around.pasts.get(job.app_id, Past())
    warm = next((each for each in able if each.id == past.built_by), None)
    if warm is None or free == [warm]:
        return None
    until = warm_until(_candidate(job, past), warm, around.runner_stale_ms, around.warm_ms, around.now)
    if until is None:
        return None
    text = f"kept for a moment for runner {warm.id}, which built the app last"
    return WaitingFor(reason=WaitReason.WARM_RUNNER.value, message=text, until=when(until))


def _paused(able: Sequence[Runner], around: Surroundings) -> WaitingFor:
    pauses = [(each, runner_pause(each, around.runner_stale_ms, around.now)) for each in able]
    words = _named([f"{each.id}: {pause.message}" for each, pause in pauses if pause], "; ")
    text = f"the runners that could take it take no work now: {words}"
    return WaitingFor(reason=WaitReason.RUNNERS_PAUSED.value, message=text)


def _named(names: Sequence[str], between: str) -> str:
    more = f" and {len(names) - _RUNNERS_NAMED} more" if len(names) > _RUNNERS_NAMED else ""
    return between.join(names[:_RUNNERS_NAMED]) + more


def _candidate(job: Job, past: Past) -> Candidate:
    return Candidate(
        id=job.id,
        app_id=job.app_id,
        user_id=job.user_id,
        priority=job.priority,
        created_at=min(job.created_at, job.updated_at),
        not_before=job.not_before,
        requires=frozenset(job.requires),
        builds="image" not in job.payload,
        built_by=past.built_by,
        app_idle_at=past.idle_at,
    )


def _labels(requires: frozenset[str], offered: Sequence[Collection[str]]) -> WaitingFor:
    missing = requires.difference(*offered)
    if missing:
        text = f"no runner that is up offers {', '.join(sorted(missing))}; start one with RUNNER_LABELS"
    else:
        text = f"no single runner that is up offers all of {', '.join(sorted(requires))}; start one with RUNNER_LABELS"
    return WaitingFor(reason=WaitReason.NO_RUNNER_WITH_LABELS.value, message=text)


def _line(job: Job, around: Surroundings) -> WaitingFor:
    text = "next in line for a runner"
    if around.pending > 1:
        text = f"in line for a runner, {_how_many(around.pending)} are pending"
    if job.holders.returned_by is not None:
        text = f"runner {job.holders.returned_by} was stopped and handed the job back; {text}"
    return WaitingFor(reason=WaitReason.QUEUED.value, message=text)


def _how_many(count: int) -> str:
    least = _COUNTED
    if count <= least:
        return str(count)
    while least * 10 < count:
        least *= 10
    return f"more than {least}"
