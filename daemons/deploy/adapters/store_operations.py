"""Statements about operations that nodes have yet to carry out."""

from collections.abc import Sequence
from dataclasses import replace

from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.operations import Operation, Sequel
from daemons.deploy.ports import OperationFilter
from daemons.kit.sql import Row, Session
from protocol.operations import OperationKind, OperationState


class OperationStatements:
    """The port `OperationRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def insert_operation(self, operation: Operation) -> Operation:
        """The operation with the id it was given."""
        number = await self._session.insert(
            "insert_operation",
            kind=operation.kind.value,
            app_id=operation.app_id,
            user_id=operation.user_id,
            node_id=operation.node_id,
            sequel=operation.sequel.value,
            cause=operation.cause,
            actor=operation.actor.name,
            source_address=operation.actor.address,
            create_time=operation.created_at,
            version=operation.version,
            **_columns(operation),
        )
        return replace(operation, id=number)

    async def save_operation(self, operation: Operation, was: Operation) -> bool:
        """Write it if its row still has `was.version`; False when it moved on."""
        version = max(operation.version, was.version + 1)
        changed = await self._session.change(
            "save_operation", id=operation.id, was_version=was.version, version=version, **_columns(operation)
        )
        return changed == 1

    async def operation(self, number: int, *, lock: bool = False) -> Operation | None:
        """One operation."""
        row = await self._session.row("operation_locked" if lock else "operation", id=number)
        return None if row is None else operation_of(row)

    async def pending_operations(self, app_id: str, *, lock: bool = False) -> Sequence[Operation]:
        """The app's PENDING operations, oldest first."""
        statement = "pending_operations_locked" if lock else "pending_operations"
        return [operation_of(row) for row in await self._session.rows(statement, app_id=app_id)]

    async def due_operations(self, limit: int, now: int) -> Sequence[Operation]:
        """PENDING ones that may be tried, locked, held rows skipped."""
        return [operation_of(row) for row in await self._session.rows("due_operations", limit=limit, now=now)]

    async def awakened_operations(self, limit: int, now: int) -> Sequence[Operation]:
        """Those that failed because their node was silent, whose node was heard of since; locked."""
        found = [int(row["id"]) for row in await self._session.rows("awakened_operations", limit=limit, now=now)]
        if not found:
            return []
        rows = await self._session.rows("operations_locked", ids=found)
        return [each for each in map(operation_of, rows) if each.holder is None]

    async def operations(self, wanted: OperationFilter, before: int, limit: int) -> Sequence[Operation]:
        """Those with an id below `before` that pass the filter, newest first."""
        rows = await self._session.rows(
            "operations_before",
            before=before,
            limit=limit,
            state=wanted.state.value if wanted.state else "",
            app_id=wanted.app_id or "",
            user_id=wanted.user_id or "",
            node_id=wanted.node_id or 0,
        )
        return [operation_of(row) for row in rows]

    async def count_operations(self, node_id: int) -> int:
        """How many PENDING ones a node has."""
        row = await self._session.row("count_operations", node_id=node_id)
        return int(row["operations"]) if row else 0

    async def forget_operations(self, limit: int, before: int) -> int:
        """Delete up to `limit` that ended before, oldest first; how many."""
        return await self._session.change("forget_operations", limit=limit, before=before)


def _columns(operation: Operation) -> dict[str, str | int | None]:
    return {
        "fence": operation.fence,
        "state": operation.state.value,
        "reason": operation.reason,
        "last_error": operation.message,
        "attempts": operation.attempts,
        "not_before": operation.not_before,
        "holder": operation.holder,
        "lease_until": operation.lease_until,
        "finished_at": operation.finished_at,
        "update_time": operation.updated_at,
    }


def operation_of(row: Row) -> Operation:
    return Operation(
        id=row["id"],
        kind=OperationKind(row["kind"]),
        app_id=row["app_id"],
        user_id=row["user_id"],
        node_id=row["node_id"],
        fence=row["fence"],
        sequel=Sequel(row["sequel"]),
        cause=row["cause"],
        actor=Actor(row["actor"], row["source_address"]),
        state=OperationState(row["state"]),
        not_before=row["not_before"],
        created_at=row["create_time"],
        updated_at=row["update_time"],
        reason=row["reason"],
        message=row["last_error"],
        attempts=row["attempts"],
        holder=row["holder"],
        lease_until=row["lease_until"],
        finished_at=row["finished_at"],
        version=row["version"],
    )
