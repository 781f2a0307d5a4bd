"""Rows of what nodes have yet to do: operations on apps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.deploy.domain.operations import Operation
from protocol.operations import OperationState


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations to list; None does not ask."""

    state: OperationState | None = None
    app_id: str | None = None
    user_id: str | None = None
    node_id: int | None = None


class OperationRows(Protocol):
    """Table `fun_ai_deploy_operation`. Who asks for an operation, or ends one, holds the app's row; locks are taken in
    the order app, jobs, operations."""

    async def insert_operation(self, operation: Operation) -> Operation:
        """The operation with the id it was given."""
        ...

    async def save_operation(self, operation: Operation, was: Operation) -> bool:
        """Write it if its row still has `was.version`; False when it moved on."""
        ...

    async def operation(self, number: int, *, lock: bool = False) -> Operation | None:
        """One operation, optionally locked until the transaction ends."""
        ...

    async def pending_operations(self, app_id: str, *, lock: bool = False) -> Sequence[Operation]:
        """The app's PENDING operations, oldest first."""
        ...

    async def due_operations(self, limit: int, now: int) -> Sequence[Operation]:
        """PENDING ones whose `not_before` is reached, the longest waiting first, locked, held rows skipped."""
        ...

    async def awakened_operations(self, limit: int, now: int) -> Sequence[Operation]:
        """PENDING ones that failed because their node was silent and that nobody holds, whose node was heard of since;
        locked, held rows skipped."""
        ...

    async def operations(self, wanted: OperationFilter, before: int, limit: int) -> Sequence[Operation]:
        """Those with an id below `before` that pass the filter, newest first."""
        ...

    async def count_operations(self, node_id: int) -> int:
        """How many PENDING ones a node has."""
        ...

    async def forget_operations(self, limit: int, before: int) -> int:
        """Delete up to `limit` that ended before, oldest first; how many."""
        ...
