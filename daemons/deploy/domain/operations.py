"""Operations on apps that nodes have yet to carry out. Times are epoch milliseconds.

Each carries a fence of its app, drawn when it was asked for: whatever was claimed before cannot come after it, and its
agent refuses it once something newer has been there. It stays PENDING until its node did it, however long the node is
away, unless the app was deployed there again meanwhile or a newer operation took its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, NodePolicy, RuntimeNode, fresh
from daemons.deploy.domain.releases import Release
from protocol.errors import ErrorReason
from protocol.jobs import JobStatus
from protocol.operations import OperationKind, OperationState

QUEUED: Final = "queued"
FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 300_000
_DOUBLINGS: Final = 9
_LONGEST_MESSAGE: Final = 2_000
#: What only operations write as an app's last state.
_SHOWN: Final = frozenset({"STOPPING", "DELETING", "STOPPED"})


class OperationNotFound(LookupError):
    """There is no such operation."""

    def __init__(self, which: int | str) -> None:
        super().__init__(f"there is no operation {which}")


class OperationEnded(Exception):
    """The operation is done or abandoned."""

    def __init__(self, operation: "Operation") -> None:
        super().__init__(f"operation {operation.id} is {operation.state.value} and cannot be changed any more")


class Sequel(StrEnum):
    """What is to become of the app's records once its nodes have done it. Later members include the earlier ones."""

    NOTHING = "nothing"
    FORGET = "forget"
    REMOVE_IMAGES = "remove-images"

    @property
    def forgets(self) -> bool:
        """Whether the records go."""
        return self is not Sequel.NOTHING


class Abandoned(StrEnum):
    """Why an operation was given up."""

    DEPLOYED_AGAIN = "deployed_again"
    SUPERSEDED = "superseded"
    NODE_DELETED = "node_deleted"
    BY_OPERATOR = "by_operator"


#: Ends after which the app may still run on the node although nobody wants it there.
_LEAVES_IT_THERE: Final = frozenset({Abandoned.NODE_DELETED.value, Abandoned.BY_OPERATOR.value})


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants what of which node; `cause` names the plan or the call that asked."""

    kind: OperationKind
    app_id: str
    user_id: str
    node_id: int
    cause: str
    actor: Actor
    sequel: Sequel = Sequel.NOTHING


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `holder` carries it out until `lease_until`; then anybody may. `reason` is a slug and `message`
    words: what it waits for, or why it was abandoned. `version` guards every write."""

    id: int
    kind: OperationKind
    app_id: str
    user_id: str
    node_id: int
    fence: int
    sequel: Sequel
    cause: str
    actor: Actor
    state: OperationState
    not_before: int
    created_at: int
    updated_at: int
    reason: str | None = None
    message: str | None = None
    attempts: int = 0
    holder: str | None = None
    lease_until: int | None = None
    finished_at: int | None = None
    version: int = 1

    def held(self, now: int) -> bool:
        """Whether an attempt is under way."""
        return self.holder is not None and self.lease_until is not None and self.lease_until > now


def asked(request: Request, fence: int, over: Operation | None, now: int) -> Operation:
    """A new operation; `over` is the pending one of the same app and node, whose place it takes: a delete is not
    weakened to a stop, and records that were to go still go."""
    kinds, sequels = list(OperationKind), list(Sequel)
    return Operation(
        id=0,
        kind=max(request.kind, over.kind if over else request.kind, key=kinds.index),
        app_id=request.app_id,
        user_id=request.user_id,
        node_id=request.node_id,
        fence=fence,
        sequel=max(request.sequel, over.sequel if over else request.sequel, key=sequels.index),
        cause=request.cause,
        actor=request.actor,
        state=OperationState.PENDING,
        not_before=now,
        created_at=now,
        updated_at=now,
        reason=QUEUED,
        message="not tried yet",
    )


def take(operation: Operation, holder: str, milliseconds: int, now: int) -> Operation:
    """The operation in the hands of a replica, which has so long for its attempt."""
    until = now + milliseconds
    return replace(
        _touched(operation, now),
        holder=holder,
        lease_until=until,
        not_before=until,
        attempts=operation.attempts + 1,
    )


def postpone(operation: Operation, reason: str, message: str, pause_ms: int, now: int) -> Operation:
    """The attempt did not end it: it is tried again after the pause."""
    return replace(
        _touched(operation, now),
        holder=None,
        lease_until=None,
        not_before=now + pause_ms,
        reason=reason,
        message=message[:_LONGEST_MESSAGE],
    )


def refence(operation: Operation, fence: int, pause_ms: int, now: int) -> Operation:
    """The operation with a newer fence, to be tried again: something that did not stay was there in between."""
    words = f"a newer attempt has been on the node, which did not stay; the next try carries fence {fence}"
    return replace(postpone(operation, ErrorReason.STALE_FENCE.value, words, pause_ms, now), fence=fence)


def finish(operation: Operation, now: int) -> Operation:
    """The node did it."""
    return replace(
        _ended(operation, now),
        state=OperationState.DONE,
        reason=None,
        message=None,
    )


def abandon(operation: Operation, reason: Abandoned, message: str, now: int) -> Operation:
    """Nobody will do it any more."""
    return replace(
        _ended(operation, now),
        state=OperationState.ABANDONED,
        reason=reason.value,
        message=message[:_LONGEST_MESSAGE],
    )


def hurry(operation: Operation, now: int) -> Operation:
    """To be tried now, whatever its back-off; one that is under way goes on. Raises OperationEnded."""
    if operation.state.final:
        raise OperationEnded(operation)
    return operation if operation.held(now) else replace(_touched(operation, now), not_before=now)


def pause_ms(attempts: int, jitter: float) -> int:
    """How long to wait after so many attempts: from one second, doubled each time, to five minutes, give or take a
    quarter by `jitter` (0 to 1)."""
    whole = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(max(attempts, 1) - 1, _DOUBLINGS))
    return max(FIRST_PAUSE_MS, min(LONGEST_PAUSE_MS, int(whole * (0.75 + jitter / 2))))


def overtaken(operation: Operation, newest: Release | None, job: Job | None) -> str | None:
    """Why the app is meant to run on that node after all: its newest release came up there after the operation was
    asked for. `job` is the one that made the release, if it is still known."""
    if newest is None or newest.node_id != operation.node_id:
        return None
    if job is not None and job.fence is not None:
        newer = job.fence > operation.fence
    else:
        newer = newest.created_at > operation.created_at
    return f"the app was deployed there again as release {newest.number}" if newer else None


def being_deployed(operation: Operation, active: Sequence[Job]) -> Job | None:
    """The running job of the app that was claimed after the operation was asked for, if any."""
    for job in active:
        if job.status is JobStatus.RUNNING and job.fence is not None and job.fence > operation.fence:
            return job
    return None


def failure(problem: str, node: RuntimeNode, policy: NodePolicy, now: int) -> tuple[str, str]:
    """The slug and the words of a failed attempt: what is known of the node says more than a refused connection."""
    if not fresh(node, policy, now):
        return ErrorReason.NODE_STALE.value, f"node {node.name} {silent_for(node, now)}: {problem}"
    return ErrorReason.PEER_FAILED.value, f"node {node.name}: {problem}"


def silent_for(node: RuntimeNode, now: int) -> str:
    """How long the node has not been heard of, as a predicate."""
    if node.last_heartbeat_at is None:
        return "was never heard of"
    return f"has not been heard of for {max(0, now - node.last_heartbeat_at) // 1000} s"


def shown(operation: Operation, run: AppRun | None) -> AppRun | None:
    """The last known state of the app with what the operation makes of it, or None when that is not its business: the
    app is known to be on another node, or a job has written its own end there since."""
    if run is None or run.node_id not in (None, operation.node_id):
        return None
    untouched = run.last_job_status in _SHOWN
    error: str | None
    match operation.state:
        case OperationState.PENDING if untouched or operation.reason == QUEUED:
            status, error = ("DELETING" if _deletes(operation) else "STOPPING"), words(operation)
        case OperationState.ABANDONED if untouched and operation.reason in _LEAVES_IT_THERE:
            status, error = ("DELETE_ABANDONED" if _deletes(operation) else "STOP_ABANDONED"), words(operation)
        case OperationState.DONE:
            status, error = "STOPPED", None
        case _:
            return None
    return replace(run, last_job_id=None, last_job_status=status, last_error=error)


def _deletes(operation: Operation) -> bool:
    return operation.kind is OperationKind.DELETE or operation.sequel.forgets


def words(operation: Operation) -> str:
    """What is going on, as a sentence without its end."""
    verb = "deleting" if _deletes(operation) else "stopping"
    match operation.state:
        case OperationState.PENDING if operation.reason == QUEUED:
            return f"{verb}: {operation.message}"
        case OperationState.PENDING:
            return f"{verb}: {operation.message}; it will be tried again"
        case OperationState.DONE:
            return "deleted" if _deletes(operation) else "stopped"
        case OperationState.ABANDONED:
            return f"not {verb} any more: {operation.message}"


def _ended(operation: Operation, now: int) -> Operation:
    return replace(_touched(operation, now), holder=None, lease_until=None, finished_at=now)


def _touched(operation: Operation, now: int) -> Operation:
    return replace(operation, updated_at=now, version=operation.version + 1)
