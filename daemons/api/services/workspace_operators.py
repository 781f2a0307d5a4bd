"""Workspaces as operators see them: where each lives, and how its node says that it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.api.domain.workspaces import NoWorkspace, Placement, WorkspaceNode
from daemons.api.ports.workspaces import NodeFigures, NodeUnreachable, WorkspaceStore
from protocol.workspace_operators import WorkspaceFigures

_LONGEST_ID: Final = 18


@dataclass(frozen=True, slots=True)
class Standing:
    """A workspace: where it lives, what its node told of it (None: nothing), and why its node did not answer."""

    placement: Placement
    node: WorkspaceNode
    figures: WorkspaceFigures | None = None
    silence: str = ""


class OperatedWorkspaces:
    """Reads; nothing that is looked at counts as use."""

    def __init__(self, store: WorkspaceStore, nodes: NodeFigures) -> None:
        self._store = store
        self._nodes = nodes

    async def page(self, node_id: int, offset: int, limit: int) -> tuple[int, Sequence[Standing]]:
        """How many workspaces a node has, and how some of them stand, in the order of their users' ids. A node that
        does not answer is said of each of them. Raises UnknownWorkspaceNode."""
        node = await self._store.node(node_id)
        total, placed = await self._store.placements(node_id, offset, limit)
        return total, await self._standings(node, placed)

    async def one(self, user_id: str) -> Standing:
        """How the user's stands. Raises NoWorkspace."""
        placement, node = await self.way(user_id)
        (found,) = await self._standings(node, [placement])
        return found

    async def way(self, user_id: str) -> tuple[Placement, WorkspaceNode]:
        """Where the user's workspace is, also on a node that is switched off. Raises NoWorkspace."""
        found = await self._store.look(int(user_id)) if len(user_id) <= _LONGEST_ID else None
        if found is None:
            raise NoWorkspace(f"user {user_id} has no workspace; the user's first call makes one")
        return found

    async def _standings(self, node: WorkspaceNode, placed: Sequence[Placement]) -> Sequence[Standing]:
        bare = [Standing(placement, node) for placement in placed]
        if not placed:
            return bare
        told: Mapping[str, WorkspaceFigures]
        try:
            told = await self._nodes.figures(node, [str(each.user_id) for each in placed])
        except NodeUnreachable as error:
            return [replace(each, silence=str(error)) for each in bare]
        return [replace(each, figures=told.get(str(each.placement.user_id))) for each in bare]
