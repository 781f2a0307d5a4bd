"""Moves of workspaces in a table, worked on by one process at a time."""

import json
from collections.abc import Sequence
from typing import Final

from daemons.api.adapters.sql.workspaces import placed, workspace_node
from daemons.api.domain.moves import (
    ACTIVE,
    DUE,
    REVOCABLE,
    WORKING,
    Move,
    MoveExists,
    MoveLost,
    TooLateToCancel,
    UnknownMove,
)
from daemons.api.domain.workspaces import MoveRefused, NoWorkspace, PlacementChanged, WorkspaceNode
from daemons.kit.sql import Database, Duplicate, Row, Session
from protocol.workspace_moves import WorkspaceMoveState

_MOST_ERROR: Final = 2000


class SqlMoves:
    """The port `MoveStore`."""

    def __init__(self, database: Database, lease_seconds: float = 20.0) -> None:
        self._database = database
        self._lease_ms = int(lease_seconds * 1000)

    @property
    def lease_seconds(self) -> float:
        """For how long a move is whose work it is, after each time that they say so."""
        return self._lease_ms / 1000

    async def begin(self, user_id: int, target_id: int | None) -> Move:
        """Raises NoWorkspace, MoveRefused, MoveExists, UnknownWorkspaceNode."""

        async def work(session: Session) -> Move:
            found = await placed(session, user_id)
            if found is None:
                raise NoWorkspace(f"user {user_id} has no workspace")
            placement, source = found
            if target_id is not None:
                target = await workspace_node(session, target_id)
                if target.id == source.id:
                    raise MoveRefused(f"user {user_id} lives on {target.name} already")
            values = {"user_id": user_id, "source_node_id": source.id, "target_node_id": target_id}
            made = await session.insert("add_workspace_move", **values, epoch=placement.epoch, now=await session.now())
            return await _get(session, made)

        try:
            return await self._database.transact(work)
        except Duplicate:
            raise MoveExists(f"the workspace of user {user_id} is being moved already") from None

    async def restoring(self, user_id: int, owner: str, why: str) -> Move:
        """Raises NoWorkspace, MoveExists."""

        async def work(session: Session) -> Move:
            found = await placed(session, user_id)
            if found is None:
                raise NoWorkspace(f"user {user_id} has no workspace")
            placement, node = found
            now = await session.now()
            made = await session.insert(
                "add_workspace_restore",
                user_id=user_id,
                source_node_id=node.id,
                epoch=placement.epoch,
                error=why,
                owner=owner,
                until=now + self._lease_ms,
                now=now,
            )
            return await _get(session, made)

        try:
            return await self._database.transact(work)
        except Duplicate:
            raise MoveExists(f"the workspace of user {user_id} is being moved or restored already") from None

    async def move(self, move_id: int) -> Move:
        """Raises UnknownMove."""

        async def work(session: Session) -> Move:
            return await _get(session, move_id)

        return await self._database.transact(work)

    async def moves(
        self, node_id: int | None, states: Sequence[WorkspaceMoveState], offset: int, limit: int
    ) -> tuple[int, Sequence[Move]]:
        """How many there are, and some of them, the newest first."""

        async def work(session: Session) -> tuple[int, Sequence[Move]]:
            node, names = node_id or 0, _names(states)
            counted = await session.row("count_workspace_moves", node_id=node, states=names)
            rows = await session.rows("workspace_moves", node_id=node, states=names, most=limit, skipped=offset)
            return int(counted["found"]) if counted else 0, [_move(row) for row in rows]

        return await self._database.transact(work)

    async def due(self, most: int) -> Sequence[Move]:
        """Those that nobody works on."""

        async def work(session: Session) -> Sequence[Move]:
            now = await session.now()
            return [
                _move(row) for row in await session.rows("workspace_moves_due", states=_names(DUE), now=now, most=most)
            ]

        return await self._database.transact(work)

    async def kept(self, most: int) -> Sequence[Move]:
        """Those whose source may drop what it keeps."""

        async def work(session: Session) -> Sequence[Move]:
            now = await session.now()
            return [_move(row) for row in await session.rows("workspace_moves_kept", now=now, most=most)]

        return await self._database.transact(work)

    async def working(self) -> int:
        """How many are under way."""

        async def work(session: Session) -> int:
            row = await session.row("count_workspace_moves", node_id=0, states=_names(WORKING))
            return int(row["found"]) if row else 0

        return await self._database.transact(work)

    async def claim(self, move_id: int, owner: str) -> bool:
        """Whether it was free."""

        async def work(session: Session) -> bool:
            now = await session.now()
            until = now + self._lease_ms
            states = _names(ACTIVE)
            return bool(
                await session.change(
                    "claim_workspace_move", id=move_id, owner=owner, until=until, now=now, states=states
                )
            )

        return await self._database.transact(work)

    async def renew(self, move_id: int, owner: str) -> None:
        """Raises MoveLost."""

        async def work(session: Session) -> None:
            until = await session.now() + self._lease_ms
            if not await session.change("renew_workspace_move", id=move_id, owner=owner, until=until):
                raise MoveLost(f"another process works on move {move_id}")

        await self._database.transact(work)

    async def release(self, move_id: int, owner: str) -> None:
        """Whoever likes may work on it."""

        async def work(session: Session) -> None:
            await session.change("release_workspace_move", id=move_id, owner=owner)

        await self._database.transact(work)

    async def save(self, move: Move, owner: str, was: WorkspaceMoveState) -> Move:
        """Raises MoveLost."""

        async def work(session: Session) -> Move:
            now = await session.now()
            if not await session.change("save_workspace_move", **_values(move), owner=owner, was=was.value, now=now):
                raise MoveLost(f"move {move.id} is not {was} any more, or another process works on it")
            return await _get(session, move.id)

        return await self._database.transact(work)

    async def note(self, move_id: int, owner: str, copied_bytes: int) -> Move:
        """Raises MoveLost."""

        async def work(session: Session) -> Move:
            now = await session.now()
            change = session.change("note_workspace_move", id=move_id, owner=owner, copied_bytes=copied_bytes, now=now)
            if not await change:
                raise MoveLost(f"another process works on move {move_id}")
            return await _get(session, move_id)

        return await self._database.transact(work)

    async def switch(self, move: Move, owner: str) -> Move:
        """Raises MoveLost, PlacementChanged."""

        async def work(session: Session) -> Move:
            now = await session.now()
            if not await session.change("switch_workspace_move", id=move.id, owner=owner, now=now):
                raise MoveLost(f"move {move.id} was cancelled, or another process works on it")
            changed = await session.change(
                "switch_workspace_placement",
                user_id=move.user_id,
                source_node_id=move.source_id,
                target_node_id=move.target_id,
                epoch=move.epoch,
                now=now,
            )
            if not changed:
                raise PlacementChanged(f"user {move.user_id} lives elsewhere meanwhile")
            return await _get(session, move.id)

        return await self._database.transact(work)

    async def cancel(self, move_id: int) -> Move:
        """Raises UnknownMove, TooLateToCancel."""

        async def work(session: Session) -> Move:
            now = await session.now()
            changed = await session.change("cancel_workspace_move", id=move_id, states=_names(REVOCABLE), now=now)
            found = await _get(session, move_id)
            if not changed and not found.cancelled:
                raise TooLateToCancel(f"move {move_id} is {found.state.value}; it cannot be cancelled any more")
            return found

        return await self._database.transact(work)

    async def cordon(self, node_id: int, *, cordoned: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""

        async def work(session: Session) -> WorkspaceNode:
            await session.change("cordon_workspace_node", id=node_id, cordoned=int(cordoned), now=await session.now())
            return await workspace_node(session, node_id)

        return await self._database.transact(work)

    async def now(self) -> int:
        """The database's time."""
        return await self._database.now()


def _names(states: Sequence[WorkspaceMoveState]) -> list[str]:
    return [state.value for state in states]


async def _get(session: Session, move_id: int) -> Move:
    row = await session.row("workspace_move", id=move_id)
    if row is None:
        raise UnknownMove(f"there is no move {move_id}")
    return _move(row)


def _values(move: Move) -> dict[str, str | int | None]:
    return {
        "id": move.id,
        "state": move.state.value,
        "active_user": move.user_id if move.state in DUE else None,
        "target_node_id": move.target_id,
        "passes": move.passes,
        "copied_files": move.copied_files,
        "copied_bytes": move.copied_bytes,
        "total_bytes": move.total_bytes,
        "skipped": json.dumps(move.skipped),
        "error": move.error[:_MOST_ERROR],
        "frozen_at": move.frozen_at,
        "frozen_ms": move.frozen_ms,
        "keep_until": move.keep_until,
        "ended_at": move.ended_at,
    }


def _move(row: Row) -> Move:
    return Move(
        id=int(row["id"]),
        user_id=int(row["user_id"]),
        source_id=int(row["source_node_id"]),
        target_id=row["target_node_id"],
        epoch=int(row["epoch"]),
        state=WorkspaceMoveState(row["state"]),
        created_at=int(row["create_time"]),
        updated_at=int(row["update_time"]),
        passes=int(row["passes"]),
        copied_files=int(row["copied_files"]),
        copied_bytes=int(row["copied_bytes"]),
        total_bytes=int(row["total_bytes"]),
        skipped=tuple(json.loads(row["skipped"])),
        cancelled=bool(row["cancelled"]),
        error=str(row["error"]),
        frozen_at=row["frozen_at"],
        frozen_ms=row["frozen_ms"],
        keep_until=row["keep_until"],
        ended_at=row["ended_at"],
    )
