"""Drains on the wire: plans that move the apps of a node elsewhere, one job each."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from protocol.base import Wire
from protocol.names import NodeName


class DrainKind(StrEnum):
    """`DRAIN`: an operator takes the node out. `FAILOVER`: the node is silent and its apps start elsewhere."""

    DRAIN = "DRAIN"
    FAILOVER = "FAILOVER"


class DrainState(StrEnum):
    """RUNNING, PAUSED and UNDOING are live: a node has at most one such plan. The others are final.

    DONE: no move is left; some may have failed or been skipped, which the plan says. FAILED: no app was moved, and at
    least one move failed. UNDONE: every app that was moved is back, or the plan says which is not.
    """

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    UNDOING = "UNDOING"
    DONE = "DONE"
    FAILED = "FAILED"
    UNDONE = "UNDONE"

    @property
    def live(self) -> bool:
        """Whether the plan still does something or may."""
        return self in (DrainState.RUNNING, DrainState.PAUSED, DrainState.UNDOING)


class MoveState(StrEnum):
    """One app of a plan: PENDING, then MOVING with a job, then MOVED, FAILED (it stays where it serves) or SKIPPED.

    In a plan that is undone a MOVED app becomes RETURNING with a job, then UNDONE, or FAILED where it could not go
    back.
    """

    PENDING = "PENDING"
    MOVING = "MOVING"
    MOVED = "MOVED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    RETURNING = "RETURNING"
    UNDONE = "UNDONE"


class PlannedMove(Wire):
    """Where an app would go, or (with `targetNodeId` null) why nowhere. `runs` is false for an app of which nothing
    runs: only its placement moves. `note` says what an operator should know about it."""

    app_id: str
    runs: bool
    target_node_id: int | None = None
    target: str | None = None
    image: str | None = None
    reasons: tuple[str, ...] = ()
    note: str | None = None


class NodeRoom(Wire):
    """A node as a target: the apps it would get, what is free there before and, by estimate, after; `stops` says why it
    takes none, or no more."""

    node_id: int
    name: str
    apps: int = 0
    disk_free_bytes: int | None = None
    disk_free_bytes_after: int | None = None
    disk_free_pct: float | None = None
    disk_free_pct_after: float | None = None
    inodes_free_pct: float | None = None
    inodes_free_pct_after: float | None = None
    stops: str | None = None


class DrainPreview(Wire):
    """What a drain would do now. `fits`: every app has a place to go."""

    node_id: int
    node: str
    fits: bool
    moves: tuple[PlannedMove, ...] = ()
    targets: tuple[NodeRoom, ...] = ()
    explanation: str


class PreviewDrain(Wire):
    """`POST /admin/drains/preview`: changes nothing."""

    node: NodeName


class StartDrain(Wire):
    """`POST /admin/drains`: cordon the node and move its apps away, `maxParallel` at a time.

    Refused 409 `drain_does_not_fit` when an app has no place to go, unless `partial`: then those stay.
    """

    node: NodeName
    max_parallel: Annotated[int, Field(ge=1, le=50)] = 2
    partial: bool = False


class DrainMove(Wire):
    """One app of a plan. `message` says why it waits, failed, or was skipped."""

    app_id: str
    state: MoveState
    target_node_id: int | None = None
    job_id: str | None = None
    attempts: int = 0
    message: str | None = None
    updated_at: AwareDatetime


class DrainView(Wire):
    """A plan and how far it is. `counts` has every state of its moves that occurs; `summary` says it in words."""

    id: int
    kind: DrainKind
    state: DrainState
    node_id: int
    node: str
    max_parallel: int
    partial: bool
    actor: str
    summary: str
    counts: dict[MoveState, int]
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class DrainDetail(DrainView):
    """A plan with its moves by app id."""

    moves: tuple[DrainMove, ...] = ()


class DrainPage(Wire):
    """`GET /admin/drains`, newest first; `nextCursor` is null on the last page."""

    items: tuple[DrainView, ...] = ()
    next_cursor: str | None = None
