"""Calls about workspace nodes to the API entry: what nodes report, and what operators see and order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from protocol.client.transport import DEFAULT_SECONDS, Transport
from protocol.client.workspace_operators import WorkspaceCalls
from protocol.workspace_moves import (
    CordonWorkspaceNode,
    DrainWorkspaceNode,
    StartWorkspaceMove,
    WorkspaceMove,
    WorkspaceMoves,
    WorkspaceNodeDrain,
    WorkspaceRestored,
)
from protocol.workspace_nodes import (
    DrainWorkspaces,
    RawWorkspaceNode,
    ReassignWorkspace,
    UpsertWorkspaceNode,
    WorkspaceNodeHeartbeat,
    WorkspaceNodes,
    WorkspacePlacements,
    WorkspacePlacementView,
    WorkspacesDrained,
)

_BASE: Final = "/api/fun-ai/admin/workspace-nodes"
_BACKUPS: Final = "/api/fun-ai/admin/workspace-backups"
_MOVES: Final = "/api/fun-ai/admin/workspace-moves"
#: A drain asks the source of every user in turn.
_DRAIN_SECONDS: Final = 300.0
#: Between two pieces, and until all that was sent is on the disk.
_BACKUP_SECONDS: Final = 600.0


class WorkspaceRegistryClient:
    """What workspace nodes call."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def heartbeat(self, beat: WorkspaceNodeHeartbeat) -> RawWorkspaceNode:
        """Register or refresh the node. Raises ClientError."""
        path = f"{_BASE}/heartbeat"
        return await self.transport.call("POST", path, RawWorkspaceNode, body=beat, seconds=DEFAULT_SECONDS)


class WorkspaceAdminClient(WorkspaceCalls):
    """What operators call. Every method raises ClientError."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def workspaces_at(self) -> Transport:
        """The way to the API entry."""
        return self.transport

    async def nodes(self) -> WorkspaceNodes:
        """Every node."""
        return await self.transport.call("GET", f"{_BASE}/list", WorkspaceNodes)

    async def placements(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspacePlacements:
        """Some of a node's users, in the order of their ids."""
        query: dict[str, str | int | None] = {"nodeId": node_id, "offset": offset, "limit": limit}
        return await self.transport.call("GET", f"{_BASE}/placements", WorkspacePlacements, query=query)

    async def upsert(self, order: UpsertWorkspaceNode) -> RawWorkspaceNode:
        """Add or change a node."""
        return await self.transport.call("POST", f"{_BASE}/upsert", RawWorkspaceNode, body=order)

    async def set_enabled(self, node_id: int, *, enabled: bool) -> RawWorkspaceNode:
        """Switch a node on or off."""
        query: dict[str, str | int | None] = {"nodeId": node_id, "enabled": int(enabled)}
        return await self.transport.call("POST", f"{_BASE}/set-enabled", RawWorkspaceNode, query=query)

    async def reassign(self, order: ReassignWorkspace) -> WorkspacePlacementView:
        """Let a user live on another node. Raises Refused 409 for who has files on the present one."""
        return await self.transport.call("POST", f"{_BASE}/reassign", WorkspacePlacementView, body=order)

    async def drain(self, order: DrainWorkspaces) -> WorkspacesDrained:
        """Let a node's users live on another one. Raises Refused 409 when some of them cannot."""
        return await self.transport.call(
            "POST", f"{_BASE}/drain", WorkspacesDrained, body=order, seconds=_DRAIN_SECONDS
        )

    async def cordon(self, node_id: int, *, cordoned: bool) -> RawWorkspaceNode:
        """Let a node take no new users, or again; those who live there are served as ever."""
        order = CordonWorkspaceNode(node_id=node_id, cordoned=cordoned)
        return await self.transport.call("POST", f"{_BASE}/cordon", RawWorkspaceNode, body=order)

    async def start_move(self, user_id: str, target: int | None = None) -> WorkspaceMove:
        """Let a user's workspace go to another node, with all that is in it; without a target the API chooses. Raises
        Refused 409 when it is on its way already, or the target cannot take it."""
        order = StartWorkspaceMove(user_id=user_id, target_node_id=target)
        return await self.transport.call("POST", f"{_MOVES}/start", WorkspaceMove, body=order)

    async def moves(
        self, *, node_id: int | None = None, active: bool | None = None, offset: int = 0, limit: int = 100
    ) -> WorkspaceMoves:
        """Moves from or to the node (None: any), the newest first; `active`: only those that go on, or only others."""
        query: dict[str, str | int | None] = {
            "nodeId": node_id,
            "active": None if active is None else int(active),
            "offset": offset,
            "limit": limit,
        }
        return await self.transport.call("GET", f"{_MOVES}/list", WorkspaceMoves, query=query)

    async def move(self, move_id: int) -> WorkspaceMove:
        """One move as it is now. Raises Refused 404."""
        query: dict[str, str | int | None] = {"moveId": move_id}
        return await self.transport.call("GET", f"{_MOVES}/show", WorkspaceMove, query=query)

    async def cancel_move(self, move_id: int) -> WorkspaceMove:
        """Let the workspace stay where it is. Raises Refused 409 once it has switched."""
        query: dict[str, str | int | None] = {"moveId": move_id}
        return await self.transport.call("POST", f"{_MOVES}/cancel", WorkspaceMove, query=query)

    async def drain_node(self, node_id: int, target: int | None = None) -> WorkspaceNodeDrain:
        """Let a node take no new users, and move all of its users away, a few at a time. Again is no error: whoever
        does not move yet begins."""
        order = DrainWorkspaceNode(node_id=node_id, target_node_id=target)
        return await self.transport.call("POST", f"{_MOVES}/drain", WorkspaceNodeDrain, body=order)

    @asynccontextmanager
    async def backup(self, user_id: str, *, node_modules: bool = True) -> AsyncIterator[AsyncIterator[bytes]]:
        """A user's workspace as a gzipped tar, piece by piece; without `node_modules` no folders of that name. One that
        breaks off (Unreachable) is none."""
        query: dict[str, str | int | None] = {"userId": user_id, "nodeModules": int(node_modules)}
        async with self.transport.stream(
            f"{_BACKUPS}/download", query=query, silence_seconds=_BACKUP_SECONDS
        ) as response:
            yield response.aiter_raw()

    async def restore(self, user_id: str, pieces: AsyncIterator[bytes]) -> WorkspaceRestored:
        """Let a user's workspace be what a backup holds; the former content is kept under the answer's number. Raises
        Refused 409, and then all is as it was."""
        query: dict[str, str | int | None] = {"userId": user_id}
        path = f"{_BACKUPS}/restore"
        return await self.transport.call(
            "POST", path, WorkspaceRestored, content=pieces, query=query, seconds=_BACKUP_SECONDS
        )

    async def confirm_restore(self, move_id: int) -> None:
        """What the workspace was before a restoration is gone for good."""
        query: dict[str, str | int | None] = {"moveId": move_id}
        await self.transport.call("POST", f"{_BACKUPS}/confirm", str, query=query)
