"""What the API orders of a node when a workspace moves; never for people through it."""

from collections.abc import AsyncIterator
from typing import Final, Literal

from aiohttp import web

from daemons.kit.bodies import reply
from daemons.kit.openapi import BYTES, Answers
from daemons.workspace.domain.copying import CopyRefused
from daemons.workspace.domain.passes import Rule, Rules
from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.http.callers import named, ordered
from daemons.workspace.http.signed import Body, Signer
from daemons.workspace.ports import Homes
from daemons.workspace.services.moves import Brought, Moves
from protocol.workspace_moves import (
    BackupWorkspace,
    OfWorkspaceHold,
    OfWorkspacePass,
    SettleWorkspace,
    WorkspaceHold,
    WorkspacePass,
    WorkspaceRestored,
)
from protocol.workspace_previews import PreviewRule
from protocol.workspace_runs import RunType

_BASE: Final = "/api/fun-ai/workspace/internal/moves"


class MoveRoutes:
    """Source: hold, send, release or leave, drop. Target: arrive, receive, settle or abandon."""

    def __init__(self, moves: Moves, homes: Homes, signer: Signer) -> None:
        self._moves = moves
        self._homes = homes
        self._signer = signer

    def table(self) -> list[web.RouteDef]:
        """For the API entry itself."""
        return [
            web.post(f"{_BASE}/hold", self.hold),
            web.post(f"{_BASE}/send", self.send),
            web.post(f"{_BASE}/release", self.release),
            web.post(f"{_BASE}/leave", self.leave),
            web.post(f"{_BASE}/drop", self.drop),
            web.post(f"{_BASE}/arrive", self.arrive),
            web.post(f"{_BASE}/settle", self.settle),
            web.post(f"{_BASE}/abandon", self.abandon),
            web.get(f"{_BASE}/usage", self.usage),
            web.get(f"{_BASE}/archive", self.archive, allow_head=False),
        ]

    def body_table(self) -> list[web.RouteDef]:
        """Whose body proves itself at its end."""
        return [web.post(f"{_BASE}/receive", self.receive), web.post(f"{_BASE}/restore", self.restore)]

    @Answers(media=BYTES, refuses=(404, 409))
    async def archive(self, request: web.Request) -> web.StreamResponse:
        """A backup."""
        order = named(request, BackupWorkspace)
        left_out = frozenset() if order.node_modules else frozenset({"node_modules"})
        async with self._moves.archived(order.user_id, left_out) as pieces:
            return await _streamed(request, pieces)

    @Answers(WorkspaceRestored, body=BYTES, refuses=(404, 409, 422, 507))
    async def restore(self, request: web.Request) -> web.Response:
        """What a backup holds is the workspace; it is held."""
        order = named(request, OfWorkspaceHold)
        pieces = _arriving(Body(request, self._signer))
        found = await self._moves.restore(order.user_id, order.move_id, order.epoch, pieces)
        return reply(
            WorkspaceRestored(
                user_id=order.user_id,
                move_id=order.move_id,
                of_user_id=found.user_id,
                entries=found.entries,
                content_bytes=found.content_bytes,
                skipped=found.skipped,
                left_out=found.left_out,
            )
        )

    @Answers(WorkspaceHold, refuses=(503,))
    async def usage(self, request: web.Request) -> web.Response:
        """How much the user's files take."""
        order = named(request, OfWorkspaceHold)
        used = (await self._homes.usage(order.user_id)).used_bytes if await self._homes.present(order.user_id) else 0
        return reply(WorkspaceHold(user_id=order.user_id, move_id=order.move_id, epoch=order.epoch, used_bytes=used))

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def hold(self, request: web.Request) -> web.Response:
        """It stands still afterwards."""
        order = named(request, OfWorkspaceHold)
        return self._told(order, await self._moves.hold(order.user_id, order.move_id, order.epoch))

    @Answers(media=BYTES, refuses=(404, 409))
    async def send(self, request: web.Request) -> web.StreamResponse:
        """One pass over its files."""
        order = named(request, OfWorkspacePass)
        async with self._moves.sending(order.user_id, order.after) as pieces:
            return await _streamed(request, pieces)

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def release(self, request: web.Request) -> web.Response:
        """It goes on."""
        order = named(request, OfWorkspaceHold)
        return self._told(order, await self._moves.release(order.user_id, order.move_id))

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def leave(self, request: web.Request) -> web.Response:
        """It lives elsewhere."""
        order = named(request, OfWorkspaceHold)
        return self._told(order, await self._moves.leave(order.user_id, order.move_id))

    @Answers(Literal["ok"], refuses=(404, 409))
    async def drop(self, request: web.Request) -> web.Response:
        """What was kept of it is gone."""
        order = named(request, OfWorkspaceHold)
        await self._moves.drop(order.user_id, order.move_id)
        return reply("ok")

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def arrive(self, request: web.Request) -> web.Response:
        """It may come; also says how far it has."""
        order = named(request, OfWorkspaceHold)
        return self._told(order, await self._moves.arrive(order.user_id, order.move_id, order.epoch))

    @Answers(WorkspacePass, body=BYTES, refuses=(404, 409, 422, 507))
    async def receive(self, request: web.Request) -> web.Response:
        """One pass."""
        order = named(request, OfWorkspacePass)
        pieces = _arriving(Body(request, self._signer))
        came = await self._moves.receive(order.user_id, order.move_id, order.after, pieces, compare=order.compare)
        return reply(
            WorkspacePass(
                user_id=order.user_id,
                move_id=order.move_id,
                token=came.token,
                copied_files=came.files,
                copied_bytes=came.sent_bytes,
                skipped=came.skipped,
                matches=came.matches,
            )
        )

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def settle(self, request: web.Request) -> web.Response:
        """It is this node's."""
        order = await ordered(request, SettleWorkspace)
        served = None
        if order.run_app is not None and order.run_type in {kind.value for kind in RunType}:
            served = order.run_app, RunType(order.run_type)
        rules = Rules(order.user_id, {one.app_id: Rule(one.visibility, one.generation) for one in order.access})
        found = await self._moves.settle(order.user_id, order.move_id, order.epoch, Brought(served, rules))
        return self._told(order, found)

    @Answers(WorkspaceHold, refuses=(404, 409, 502, 503))
    async def abandon(self, request: web.Request) -> web.Response:
        """It never was here."""
        order = named(request, OfWorkspaceHold)
        return self._told(order, await self._moves.abandon(order.user_id, order.move_id))

    def _told(self, order: OfWorkspaceHold, workspace: Workspace) -> web.Response:
        reason, error = self._moves.failed(order.user_id)
        held = workspace.phase is Phase.LEAVING
        run, rules = self._moves.brought(order.user_id) if held else (None, Rules(order.user_id))
        return reply(
            WorkspaceHold(
                user_id=order.user_id,
                move_id=order.move_id,
                epoch=workspace.epoch,
                frozen=held,
                token=workspace.token,
                reason=reason,
                error=error,
                run_app=run[0] if run else None,
                run_type=run[1].value if run else "",
                access=tuple(
                    PreviewRule(app_id=app_id, visibility=rule.visibility, generation=rule.generation)
                    for app_id, rule in rules.apps.items()
                ),
            )
        )


async def _streamed(request: web.Request, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """The pieces as they come. What fails before the first is answered; after it the connection is cut."""
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await response.prepare(request)
    try:
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
    return response


async def _arriving(body: Body) -> AsyncIterator[bytes]:
    try:
        async for piece in body.pieces():
            yield piece
    except (ConnectionError, web.RequestPayloadError):
        raise CopyRefused("the copy broke off") from None
