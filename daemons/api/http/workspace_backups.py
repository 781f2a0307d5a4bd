"""Backups of workspaces, for operators: sent and taken as they come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal

from aiohttp import web

from daemons.api.services.backups import Backups
from daemons.kit.bodies import InvalidRequest, query, reply
from daemons.kit.openapi import BYTES, Answers
from protocol.workspace_moves import BackupWorkspace, OfWorkspaceMove, RestoreWorkspace, WorkspaceRestored

_BASE: Final = "/api/fun-ai/admin/workspace-backups"
_PIECE_BYTES: Final = 256 * 1024
_SECONDS: Final = 60.0


class WorkspaceBackupRoutes:
    """Download, restore, confirm."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def table(self) -> list[web.RouteDef]:
        """For operators."""
        return [
            web.get(f"{_BASE}/download", self.download, allow_head=False),
            web.post(f"{_BASE}/restore", self.restore),
            web.post(f"{_BASE}/confirm", self.confirm),
        ]

    @Answers(media="application/gzip", refuses=(404, 409, 502, 503))
    async def download(self, request: web.Request) -> web.StreamResponse:
        """The archive; one that breaks off has no manifest at its end."""
        wanted = query(request, BackupWorkspace)
        async with self._backups.archive(wanted.user_id, node_modules=wanted.node_modules) as pieces:
            name = f"workspace-{wanted.user_id}.tar.gz"
            told = {"Content-Type": "application/gzip", "Content-Disposition": f'attachment; filename="{name}"'}
            response = web.StreamResponse(headers=told)
            await response.prepare(request)
            try:
                async for piece in pieces:
                    async with asyncio.timeout(_SECONDS):
                        await response.write(piece)
                await response.write_eof()
            except BaseException:
                if request.transport is not None:
                    request.transport.abort()
                raise
            return response

    @Answers(WorkspaceRestored, body=BYTES, refuses=(404, 409, 422, 502))
    async def restore(self, request: web.Request) -> web.Response:
        """The workspace is what comes."""
        return reply(await self._backups.restore(query(request, RestoreWorkspace).user_id, _pieces(request)))

    @Answers(Literal["ok"], refuses=(404, 409, 502))
    async def confirm(self, request: web.Request) -> web.Response:
        """The former content is gone."""
        await self._backups.confirm(query(request, OfWorkspaceMove).move_id)
        return reply("ok")


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(_SECONDS):
                piece = await request.content.read(_PIECE_BYTES)
            if not piece:
                return
            yield piece
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise InvalidRequest("body: ended early", ["body"]) from None
