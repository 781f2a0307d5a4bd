"""The registry of workspace nodes: what they report, and what operators order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.api.domain.access import NotFound
from daemons.api.domain.workspaces import (
    Beat,
    ForeignNodeName,
    MoveRefused,
    Placement,
    PlacementPolicy,
    Users,
    WorkspaceNode,
    health,
    obstacle,
)
from daemons.api.ports import UserStore
from daemons.api.ports.workspaces import Holdings, Movers, NodeUnreachable, WorkspaceStore
from protocol.workspace_nodes import WorkspaceNodeHealth

_PAGE: Final = 200
_MOST_REFUSALS: Final = 100
_MOST_USER: Final = 2**63


class DrainRefused(MoveRefused):
    """Not every user of the node could be moved; `data` says who was, and why others were not."""

    def __init__(self, message: str, data: Mapping[str, object]) -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True, slots=True)
class Standing:
    """A node with its users, whether it is heard of, and why it takes no new users, if it takes none."""

    node: WorkspaceNode
    users: Users
    health: WorkspaceNodeHealth
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class Drained:
    """How many users were moved, and who was not and why."""

    moved: int
    refused: Mapping[str, str]


class OnlyWithoutFiles:
    """The port `Movers` for who has nothing yet: whoever has files is moved by `services/moving.py`."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    async def move(self, user_id: int, source: WorkspaceNode, target: WorkspaceNode) -> None:
        """Raises MoveRefused unless there is nothing to move."""
        try:
            held = await self._holdings.holds(source, user_id)
        except NodeUnreachable as error:
            raise MoveRefused(f"nobody knows whether user {user_id} has files on {source.name}: {error}") from None
        if held:
            raise MoveRefused(
                f"user {user_id} has a workspace on {source.name}; on {target.name} it would be empty. "
                f"Move it with its files: POST /api/fun-ai/admin/workspace-moves/start"
            )


class WorkspaceNodes:
    """Hears of nodes, shows them, and moves users between them."""

    def __init__(
        self, store: WorkspaceStore, movers: Movers, users: UserStore, policy: PlacementPolicy, bound: frozenset[str]
    ) -> None:
        """`bound` are the names of nodes that have tokens of their own."""
        self._store = store
        self._movers = movers
        self._users = users
        self._policy = policy
        self._bound = bound

    async def hear(self, beat: Beat, token_of: str | None) -> WorkspaceNode:
        """Note a heartbeat that came with the token of that node, or with the shared one (None). Raises
        ForeignNodeName: whoever holds a node's token cannot redirect another node's traffic."""
        if token_of != (beat.name if beat.name in self._bound else None):
            raise ForeignNodeName("nodeName is not the node that this token belongs to")
        return await self._store.hear(beat)

    async def all(self) -> tuple[Sequence[Standing], int]:
        """Every node, and how many users there are."""
        nodes, users, now = await self._store.nodes()
        standings = [
            Standing(
                node,
                users.get(node.id, Users()),
                health(node, self._policy, now),
                obstacle(node, self._policy, now),
            )
            for node in nodes
        ]
        return standings, await self._store.users()

    async def save(self, node: WorkspaceNode) -> WorkspaceNode:
        """Add or change a node. Raises UnknownWorkspaceNode, WorkspaceNodeNameTaken."""
        return await self._store.save(node)

    async def enable(self, node_id: int, *, enabled: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""
        return await self._store.enable(node_id, enabled=enabled)

    async def placements(self, node_id: int, offset: int, limit: int) -> tuple[int, Sequence[Placement]]:
        """How many users a node has, and some of them. Raises UnknownWorkspaceNode."""
        await self._store.node(node_id)
        return await self._store.placements(node_id, offset, limit)

    async def reassign(self, user_id: str, target_id: int) -> Placement:
        """The user lives on the target afterwards. Raises NotFound, UnknownWorkspaceNode, MoveRefused,
        PlacementChanged."""
        number, target = int(user_id), await self._target(target_id)
        if number >= _MOST_USER or await self._users.user(number) is None:
            raise NotFound(f"there is no user {user_id}")
        found = await self._store.look(number)
        if found is None:
            found = await self._store.place(number, lambda _nodes, _users, _now: target)
        placement, source = found
        return placement if source.id == target.id else await self._move(placement, source, target)

    async def drain(self, source_id: int, target_id: int, limit: int) -> Drained:
        """Move users of a node, at most so many. Raises UnknownWorkspaceNode, MoveRefused, and DrainRefused when some
        of them could not be moved."""
        source, target = await self._store.node(source_id), await self._target(target_id)
        if source.id == target.id:
            raise MoveRefused("source and target are the same node")
        moved, refused = 0, dict[str, str]()
        while moved < limit and len(refused) < _MOST_REFUSALS:
            # Whoever was moved is not listed any more.
            _, found = await self._store.placements(source.id, len(refused), min(_PAGE, limit - moved))
            if not found:
                break
            for placement in found:
                try:
                    await self._move(placement, source, target)
                    moved += 1
                except MoveRefused as error:
                    refused[str(placement.user_id)] = str(error)
        if refused:
            told = {"sourceNodeId": source.id, "targetNodeId": target.id, "moved": moved, "refused": refused}
            raise DrainRefused(
                f"{moved} users of {source.name} were moved, {len(refused)} or more were not; the first: "
                f"{next(iter(refused.values()))}",
                told,
            )
        return Drained(moved, refused)

    async def _target(self, node_id: int) -> WorkspaceNode:
        nodes, _, now = await self._store.nodes()
        target = next((node for node in nodes if node.id == node_id), None) or await self._store.node(node_id)
        if problem := obstacle(target, self._policy, now):
            raise MoveRefused(f"{target.name} takes no users: {problem}")
        return target

    async def _move(self, placement: Placement, source: WorkspaceNode, target: WorkspaceNode) -> Placement:
        await self._movers.move(placement.user_id, source, target)
        return await self._store.move(placement, target.id)
