"""Moves of workspaces, for operators."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from daemons.api.domain.moves import Move
from daemons.api.http.conditional import unless_known
from daemons.api.http.workspace_nodes import raw_node
from daemons.api.services.moves import Moves
from daemons.kit.bodies import number, query, read, reply
from daemons.kit.openapi import Answers
from protocol.workspace_moves import (
    CordonWorkspaceNode,
    DrainWorkspaceNode,
    ListWorkspaceMoves,
    OfWorkspaceMove,
    StartWorkspaceMove,
    WorkspaceMove,
    WorkspaceMoves,
    WorkspaceNodeDrain,
)
from protocol.workspace_nodes import RawWorkspaceNode

_BASE: Final = "/api/fun-ai/admin/workspace-moves"
_NODES: Final = "/api/fun-ai/admin/workspace-nodes"


class WorkspaceMoveRoutes:
    """Start, list, show, cancel; cordon and drain of nodes."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    def table(self) -> list[web.RouteDef]:
        """For operators."""
        return [
            web.post(f"{_BASE}/start", self.start),
            web.get(f"{_BASE}/list", self.list),
            web.get(f"{_BASE}/show", self.show),
            web.post(f"{_BASE}/cancel", self.cancel),
            web.post(f"{_BASE}/drain", self.drain),
            web.post(f"{_NODES}/cordon", self.cordon),
        ]

    @Answers(WorkspaceMove, refuses=(404, 409))
    async def start(self, request: web.Request) -> web.Response:
        """Begin one."""
        order = await read(request, StartWorkspaceMove)
        move = await self._moves.start(order.user_id, order.target_node_id)
        return reply(_view(move, await self._moves.names()))

    @Answers(WorkspaceMoves, also={304: "as it was"}, headers=("If-None-Match",), refuses=(404,))
    async def list(self, request: web.Request) -> web.Response:
        """Some of them, the newest first."""
        wanted = query(request, ListWorkspaceMoves)
        offset = number(request, "offset", default=0, low=0, high=2**53)
        limit = number(request, "limit", default=100, low=1, high=1000)
        total, found = await self._moves.list(wanted.node_id, wanted.active, offset, limit)
        names = await self._moves.names()
        moves = WorkspaceMoves(total=total, items=tuple(_view(move, names) for move in found))
        return unless_known(request, reply(moves))

    @Answers(WorkspaceMove, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """One, as it is now."""
        move = await self._moves.show(query(request, OfWorkspaceMove).move_id)
        return reply(_view(move, await self._moves.names()))

    @Answers(WorkspaceMove, refuses=(404, 409))
    async def cancel(self, request: web.Request) -> web.Response:
        """It will not be switched."""
        move = await self._moves.cancel(query(request, OfWorkspaceMove).move_id)
        return reply(_view(move, await self._moves.names()))

    @Answers(WorkspaceNodeDrain, refuses=(404, 409))
    async def drain(self, request: web.Request) -> web.Response:
        """All of a node's users go."""
        order = await read(request, DrainWorkspaceNode)
        begun = await self._moves.drain(order.node_id, order.target_node_id)
        return reply(WorkspaceNodeDrain(node_id=order.node_id, users=begun.users, started=begun.started))

    @Answers(RawWorkspaceNode, refuses=(404,))
    async def cordon(self, request: web.Request) -> web.Response:
        """No new users, or again."""
        order = await read(request, CordonWorkspaceNode)
        return reply(raw_node(await self._moves.cordon(order.node_id, cordoned=order.cordoned)))


def _view(move: Move, names: Mapping[int, str]) -> WorkspaceMove:
    target = move.target_id
    return WorkspaceMove(
        move_id=move.id,
        user_id=str(move.user_id),
        state=move.state,
        source_node_id=move.source_id,
        source_node=names.get(move.source_id, ""),
        target_node_id=target,
        target_node=None if target is None else names.get(target, ""),
        epoch=move.epoch,
        passes=move.passes,
        copied_files=move.copied_files,
        copied_bytes=move.copied_bytes,
        total_bytes=move.total_bytes,
        skipped=move.skipped,
        cancel_requested=move.cancelled,
        error=move.error,
        created_at_ms=move.created_at,
        updated_at_ms=move.updated_at,
        frozen_ms=move.frozen_ms,
        ended_at_ms=move.ended_at,
    )
