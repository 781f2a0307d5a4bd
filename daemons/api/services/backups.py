"""Backups of workspaces: sent to operators, and taken back from them."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from daemons.api.domain.access import NotFound
from daemons.api.domain.moves import RENEWALS, Move, MoveLost
from daemons.api.domain.workspaces import NoWorkspace, PlacementPolicy, choose
from daemons.api.ports import UserStore
from daemons.api.ports.moves import MoveStore, MovingNodes
from daemons.api.ports.workspaces import WorkspaceStore
from daemons.kit.tasks import first
from protocol.workspace_moves import WorkspaceMoveState as State
from protocol.workspace_moves import WorkspaceRestored

logger = logging.getLogger(__name__)

_MOST_USER: Final = 2**63
_BROKE_OFF: Final = (
    "the restoration did not come to its end; the workspace is what it was before it, or all of the backup"
)


class Backups:
    """A restoration is a row among the moves, which is taken back by whoever carries these out if it breaks off."""

    def __init__(
        self,
        moves: MoveStore,
        workspaces: WorkspaceStore,
        users: UserStore,
        nodes: MovingNodes,
        policy: PlacementPolicy,
    ) -> None:
        self._moves = moves
        self._workspaces = workspaces
        self._users = users
        self._nodes = nodes
        self._policy = policy

    @asynccontextmanager
    async def archive(self, user_id: str, *, node_modules: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """Raises NoWorkspace, NodeUnreachable, OrderRefused."""
        found = await self._workspaces.look(int(user_id)) if int(user_id) < _MOST_USER else None
        if found is None:
            raise NoWorkspace(f"user {user_id} has no workspace")
        async with self._nodes.archive(found[1], int(user_id), node_modules=node_modules) as pieces:
            yield pieces
        logger.info("workspace_backed_up", extra={"user_id": user_id, "node": found[1].name})

    async def restore(self, user_id: str, pieces: AsyncIterator[bytes]) -> WorkspaceRestored:
        """The user's workspace is what the backup holds, also one that the user did not have before. Raises NotFound,
        NoWorkspaceNode, MoveExists, NodeUnreachable, OrderRefused, and what the pieces raise."""
        number = int(user_id)
        if number >= _MOST_USER or await self._users.user(number) is None:
            raise NotFound(f"there is no user {user_id}")
        await self._workspaces.place(number, lambda nodes, users, now: choose(nodes, users, self._policy, now))
        owner = secrets.token_hex(16)
        move = await self._moves.restoring(number, owner, _BROKE_OFF)
        try:
            return await first(self._restored(move, owner, pieces), self._renew(move, owner))
        finally:
            await self._moves.release(move.id, owner)

    async def confirm(self, move_id: int) -> Move:
        """What the workspace was before is gone for good. Raises UnknownMove, MoveLost, NodeUnreachable, OrderRefused,
        UnknownWorkspaceNode."""
        owner, move = secrets.token_hex(16), await self._moves.move(move_id)
        if move.state is not State.KEEPING or move.target_id is not None:
            raise MoveLost(f"{move_id} is no restoration whose former content is kept")
        if not await self._moves.claim(move_id, owner):
            raise MoveLost(f"somebody else confirms {move_id}")
        try:
            await self._nodes.drop(await self._workspaces.node(move.source_id), move)
            done = replace(move, state=State.DONE, ended_at=await self._moves.now())
            return await self._moves.save(done, owner, State.KEEPING)
        finally:
            await self._moves.release(move_id, owner)

    async def _restored(self, move: Move, owner: str, pieces: AsyncIterator[bytes]) -> WorkspaceRestored:
        node = await self._workspaces.node(move.source_id)
        found = await self._nodes.restore(node, move, pieces)
        await self._nodes.order(node, "release", move, move.epoch)
        kept = replace(
            move, state=State.KEEPING, error="", copied_bytes=found.content_bytes, copied_files=found.entries
        )
        await self._moves.save(kept, owner, State.ROLLING_BACK)
        logger.info("workspace_restored", extra={"move": move.id, "user_id": move.user_id, "node": node.name})
        return found

    async def _renew(self, move: Move, owner: str) -> WorkspaceRestored:
        while True:
            await asyncio.sleep(self._moves.lease_seconds / RENEWALS)
            await self._moves.renew(move.id, owner)
