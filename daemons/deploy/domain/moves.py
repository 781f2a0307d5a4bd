"""An app that changes its node with the success of a job.

The job's payload names the route: where the app serves until then, and where it will. Until the job succeeds nothing
has moved. Two kinds of job have a route: MIGRATE_APP, ordered by a drain with what the app runs already, and a user's
own deployment of an app whose node is being drained, which goes to a new home at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import NodePolicy, Reason, RuntimeNode
from daemons.deploy.domain.placement import Obstacle, obstacle_to_redeploy
from protocol.errors import PlacementReason
from protocol.jobs import JobStatus, JobType

_SOURCE: Final = "sourceNodeId"
_TARGET: Final = "targetNodeId"
_DRAIN: Final = "drainId"


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, by node id; `source` None when nobody knows of a copy elsewhere."""

    source: int | None
    target: int


@dataclass(frozen=True, slots=True)
class Cargo:
    """What an app runs: everything that a deployment of it on another node takes. `payload` names the image."""

    app_id: str
    user_id: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Order:
    """Which plan wants a move, and how urgent it is."""

    drain_id: int
    priority: int = 0


def migrate(job_id: str, cargo: Cargo, route: Route, ordered: Order, now: int) -> Job:
    """A PENDING job that moves the app for a plan."""
    payload = routed(cargo.payload, route) | {_DRAIN: ordered.drain_id}
    job = Job(job_id, JobType.MIGRATE_APP, JobStatus.PENDING, cargo.app_id, cargo.user_id, payload, now, now)
    return replace(job, priority=ordered.priority)


def route_of(job: Job) -> Route | None:
    """The route of a job whose success moves its app."""
    source, target = job.payload.get(_SOURCE), job.payload.get(_TARGET)
    if not isinstance(target, int):
        return None
    return Route(source if isinstance(source, int) else None, target)


def drain_of(job: Job) -> int | None:
    """The plan that ordered the job."""
    found = job.payload.get(_DRAIN)
    return found if isinstance(found, int) else None


def bound(job: Job, source: int | None, target: int) -> Job:
    """The user's job for the node it is about to be claimed for; with a route when that is not where the app serves
    (`source`, None: it serves nowhere). What an earlier claim of the job wrote is forgotten."""
    if job.type is JobType.MIGRATE_APP:
        return job
    if source is not None and source != target:
        return replace(job, payload=routed(job.payload, Route(source, target)))
    if _TARGET not in job.payload:
        return job
    return replace(job, payload={key: value for key, value in job.payload.items() if key not in (_SOURCE, _TARGET)})


def turned(job: Job, target: int, now: int) -> Job:
    """A PENDING move that goes to another node than was planned."""
    route = route_of(job)
    payload = routed(job.payload, Route(route.source if route else None, target))
    return replace(job, payload=payload, updated_at=now, version=job.version + 1)


def target_of(job: Job, nodes: Sequence[RuntimeNode]) -> RuntimeNode | None:
    """The node that a move goes to, if it is still there."""
    route = route_of(job)
    return next((node for node in nodes if route is not None and node.id == route.target), None)


def reasons_of(job: Job, came_from: str, went_to: str) -> tuple[Reason, ...]:
    """Why the app is on the node where the job brought it; the nodes by name."""
    drain = drain_of(job)
    why = f"drain {drain} ordered it" if drain is not None else f"{came_from} was being drained when it was deployed"
    return (Reason(PlacementReason.MOVED, f"job {job.id} moved it from {came_from} to {went_to}: {why}"),)


def moved_without_a_job(drain_id: int, target: RuntimeNode, note: str | None) -> tuple[Reason, ...]:
    """Why an app that had nothing to start is on the node."""
    words = f"drain {drain_id} moved it to {target.name} without a job"
    return (Reason(PlacementReason.MOVED, f"{words}: {note}" if note else words),)


def obstacle_to_move(node: RuntimeNode, policy: NodePolicy, now: int) -> Obstacle | None:
    """Why a move may not be carried out on its target now, or None. Whether the target may take new apps was decided
    when it was chosen, and an app that goes back finds its node as it was, cordoned or not."""
    return obstacle_to_redeploy(replace(node, enabled=True), policy, now)


def routed(payload: Mapping[str, object], route: Route) -> dict[str, object]:
    """The payload with the route written into it."""
    source = {} if route.source is None else {_SOURCE: route.source}
    rest = {key: value for key, value in payload.items() if key not in (_SOURCE, _TARGET)}
    return {**rest, **source, _TARGET: route.target}
