"""Why a pending job is not running."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import NodePolicy, Placement, Runner, RuntimeNode, runner_health
from daemons.deploy.domain.placement import obstacle_to_new_app, obstacle_to_redeploy
from protocol.errors import ErrorReason
from protocol.jobs import WaitingFor
from protocol.nodes import RunnerHealth


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pending job may be waiting for, as of `now`."""

    now: int
    nodes: Sequence[RuntimeNode]
    runners: Sequence[Runner]
    pending: int
    policy: NodePolicy
    runner_stale_ms: int


def explain(job: Job, running: Job | None, placement: Placement | None, around: Surroundings) -> WaitingFor:
    """The first thing that stands in the way; the last resort is that the job is simply next in line."""
    if running is not None:
        since = max(0, around.now - (running.started_at or around.now)) // 1000
        return WaitingFor(
            reason=ErrorReason.APP_BUSY.value, message=f"the app is busy with job {running.id} since {since} s"
        )
    if job.not_before > around.now:
        seconds = -((around.now - job.not_before) // 1000)
        text = f"attempt {job.attempt} lost its runner; the next one may start in {seconds} s"
        return WaitingFor(reason="backoff", message=text)
    return _node(placement, around) or _runner(job, around) or _line(around)


def _node(placement: Placement | None, around: Surroundings) -> WaitingFor | None:
    home = next((node for node in around.nodes if placement and node.id == placement.node_id), None)
    if home is not None:
        obstacle = obstacle_to_redeploy(home, around.policy, around.now)
        if obstacle is None:
            return None
        return WaitingFor(reason=obstacle.reason.value, message=f"the app lives on node {obstacle}")
    obstacles = [obstacle_to_new_app(node, around.policy, around.now) for node in around.nodes]
    if None in obstacles:
        return None
    why = "; ".join(str(obstacle) for obstacle in obstacles) or "none is registered"
    return WaitingFor(reason=ErrorReason.NO_NODE.value, message=f"no runtime node can take a new app: {why}")


def _runner(job: Job, around: Surroundings) -> WaitingFor | None:
    healthy = [
        runner
        for runner in around.runners
        if runner_health(runner, around.runner_stale_ms, around.now) is RunnerHealth.HEALTHY
    ]
    if healthy:
        return _labels(frozenset(job.requires), [frozenset(runner.labels or ()) for runner in healthy])
    if not around.runners:
        return WaitingFor(reason="no_runner", message="no runner has called yet; start one")
    latest = max(runner.last_seen_at for runner in around.runners)
    ago = max(0, around.now - latest) // 1000
    return WaitingFor(reason="no_runner", message=f"no runner has called for {ago} s; start one")


def _labels(requires: frozenset[str], offered: Sequence[frozenset[str]]) -> WaitingFor | None:
    if any(requires <= labels for labels in offered):
        return None
    missing = requires.difference(*offered)
    if missing:
        text = f"no runner that is up offers {', '.join(sorted(missing))}; start one with RUNNER_LABELS"
    else:
        text = f"no single runner that is up offers all of {', '.join(sorted(requires))}; start one with RUNNER_LABELS"
    return WaitingFor(reason="no_runner_with_labels", message=text)


def _line(around: Surroundings) -> WaitingFor:
    text = "next in line for a runner" if around.pending <= 1 else f"in line for a runner, {around.pending} are pending"
    return WaitingFor(reason="queued", message=text)
