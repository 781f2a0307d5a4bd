"""Operations on apps that their nodes have yet to carry out: stops and deletes, retried until done."""

from enum import StrEnum

from pydantic import AwareDatetime

from protocol.base import Wire


class OperationKind(StrEnum):
    """What the node's agent is asked to do: take the app's containers away, or all that the node has of it."""

    STOP = "stop"
    DELETE = "delete"


class OperationState(StrEnum):
    """An operation is retried until it is DONE, or ABANDONED because something else made it pointless."""

    PENDING = "PENDING"
    DONE = "DONE"
    ABANDONED = "ABANDONED"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self is not OperationState.PENDING


class OperationView(Wire):
    """One operation. `fence` is the per-app number it carries; `cause` says what asked for it (`stop`, `cleanup`,
    `drain:<plan>`, ...), `actor` who.

    While it is PENDING `reason` and `message` say what it waits for, and `nextAttemptAt` when it is tried again; at the
    end they say why it was ABANDONED. `running` is true while an attempt is under way.
    """

    id: int
    kind: OperationKind
    app_id: str
    user_id: str
    node_id: int
    fence: int
    cause: str
    actor: str
    state: OperationState
    reason: str | None = None
    message: str | None = None
    attempts: int = 0
    running: bool = False
    next_attempt_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class OperationPage(Wire):
    """`GET /deploy/operations`, newest first; `nextCursor` is null on the last page."""

    items: tuple[OperationView, ...]
    next_cursor: str | None = None
