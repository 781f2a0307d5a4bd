"""What operators order of moves: begin, look, cancel, empty a node."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemons.api.domain.access import NotFound
from daemons.api.domain.moves import ACTIVE, DUE, OVER, Move, MoveExists
from daemons.api.domain.workspaces import MoveRefused, NoWorkspace, PlacementPolicy, WorkspaceNode, obstacle
from daemons.api.ports.moves import MoveStore
from daemons.api.ports.workspaces import WorkspaceStore

logger = logging.getLogger(__name__)

_PAGE = 500
_MOST_USER = 2**63


@dataclass(frozen=True, slots=True)
class Emptying:
    """A drain that began: how many users the node has, and how many of them did not move before."""

    users: int
    started: int


class Moves:
    """Writes down what is to be done; `services/moving.py` does it."""

    def __init__(self, moves: MoveStore, workspaces: WorkspaceStore, policy: PlacementPolicy) -> None:
        self._moves = moves
        self._workspaces = workspaces
        self._policy = policy

    async def start(self, user_id: str, target_id: int | None) -> Move:
        """Raises NotFound, UnknownWorkspaceNode, MoveRefused, MoveExists."""
        await self._check(target_id)
        number = int(user_id)
        if number >= _MOST_USER:
            raise NotFound(f"there is no user {user_id}")
        move = await self._moves.begin(number, target_id)
        _told("workspace_move_ordered", move)
        return move

    async def show(self, move_id: int) -> Move:
        """Raises UnknownMove."""
        return await self._moves.move(move_id)

    async def list(
        self, node_id: int | None, active: bool | None, offset: int, limit: int
    ) -> tuple[int, Sequence[Move]]:
        """How many there are, and some of them, the newest first."""
        states = (*ACTIVE, *OVER) if active is None else DUE if active else tuple(set((*ACTIVE, *OVER)) - set(DUE))
        return await self._moves.moves(node_id, states, offset, limit)

    async def cancel(self, move_id: int) -> Move:
        """Raises UnknownMove, TooLateToCancel."""
        move = await self._moves.cancel(move_id)
        _told("workspace_move_cancelled", move)
        return move

    async def cordon(self, node_id: int, *, cordoned: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""
        node = await self._moves.cordon(node_id, cordoned=cordoned)
        logger.info("workspace_node_cordoned", extra={"node": node.name, "cordoned": cordoned})
        return node

    async def drain(self, node_id: int, target_id: int | None) -> Emptying:
        """Raises UnknownWorkspaceNode, MoveRefused."""
        if target_id == node_id:
            raise MoveRefused("source and target are the same node")
        await self._workspaces.node(node_id)
        await self._check(target_id)
        await self.cordon(node_id, cordoned=True)
        users = started = offset = 0
        while True:
            users, found = await self._workspaces.placements(node_id, offset, _PAGE)
            for placement in found:
                try:
                    await self._moves.begin(placement.user_id, target_id)
                    started += 1
                except (MoveExists, MoveRefused, NoWorkspace):
                    continue
            offset += len(found)
            if len(found) < _PAGE:
                break
        logger.info("workspace_node_drain_ordered", extra={"node_id": node_id, "users": users, "started": started})
        return Emptying(users, started)

    async def names(self) -> Mapping[int, str]:
        """What nodes are called."""
        return {node.id: node.name for node in (await self._workspaces.nodes())[0]}

    async def _check(self, target_id: int | None) -> None:
        if target_id is None:
            return
        nodes, _, now = await self._workspaces.nodes()
        target = next((node for node in nodes if node.id == target_id), None)
        target = target or await self._workspaces.node(target_id)
        if problem := obstacle(target, self._policy, now):
            raise MoveRefused(f"{target.name} takes no users: {problem}")


def _told(event: str, move: Move) -> None:
    said = {"move": move.id, "user_id": move.user_id, "source": move.source_id, "target": move.target_id}
    logger.info(event, extra=said)
