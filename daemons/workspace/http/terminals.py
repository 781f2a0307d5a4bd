"""Terminals over WebSocket: binary frames are what is typed and what is written, text frames are JSON about it.

To the client: `{"type":"ready","session":...,"offset":n}` first (the number of the first byte that follows),
`{"type":"reset","offset":n,"lost":m}` when m bytes before n are gone, `{"type":"exit","code":n}` last. From the client:
`{"type":"resize","cols":c,"rows":r}`, `{"type":"ack","offset":n}` (all bytes before n were read: who says so never
loses any by a broken connection) and `{"type":"close"}`.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web
from pydantic import ValidationError

from daemons.kit.auth import Forbidden
from daemons.kit.openapi import SOCKET, Answers
from daemons.workspace.http.callers import named
from daemons.workspace.services.terminals import Session, Terminals, Viewer
from protocol.workspace_terminals import TerminalOrder, TerminalRef

_PATH: Final = "/api/fun-ai/workspace/terminal"
#: Small writes of a program go out together; a key's echo is not held back.
_COALESCE_SECONDS: Final = 0.008
_SMALL_BYTES: Final = 1024
_MOST_TYPED_BYTES: Final = 1024 * 1024
_PING_SECONDS: Final = 20.0


class TerminalRoutes:
    """Opens and resumes terminals. `origins` are the pages that may, beside callers that are no browsers."""

    def __init__(self, terminals: Terminals, origins: Sequence[str]) -> None:
        self._terminals = terminals
        self._origins = frozenset(origins)

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [web.get(_PATH, self.attach)]

    @Answers(media=SOCKET, status=101, refuses=(403, 404, 409, 502))
    async def attach(self, request: web.Request) -> web.WebSocketResponse:
        """A new terminal, or the one that is named, from the offset that the viewer has read up to."""
        check_origin(request, self._origins)
        wanted = named(request, TerminalRef)
        if wanted.session:
            session = self._terminals.find(wanted.user_id, wanted.session)
        else:
            session = await self._terminals.open(wanted.user_id, wanted.app_id, (wanted.cols, wanted.rows))
        socket = web.WebSocketResponse(heartbeat=_PING_SECONDS, max_msg_size=_MOST_TYPED_BYTES)
        await socket.prepare(request)
        viewer = session.join(wanted.offset)
        try:
            await self._serve(socket, session, viewer)
        finally:
            await session.leave(viewer)
        return socket

    async def _serve(self, socket: web.WebSocketResponse, session: Session, viewer: Viewer) -> None:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(_write(socket, session, viewer))
            await self._read(socket, session, viewer)
            writing.cancel()

    async def _read(self, socket: web.WebSocketResponse, session: Session, viewer: Viewer) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await self._terminals.type(session, message.data)
            elif message.type is WSMsgType.TEXT:
                try:
                    order = TerminalOrder.model_validate_json(message.data)
                except ValidationError:
                    await _say(socket, {"type": "error", "message": "this is no order that a terminal knows"})
                    continue
                await _obey(session, viewer, order)


async def _obey(session: Session, viewer: Viewer, order: TerminalOrder) -> None:
    if order.type == "resize" and order.cols and order.rows:
        await session.resize(order.cols, order.rows)
    elif order.type == "ack" and order.offset is not None:
        await session.acknowledge(viewer, order.offset)
    elif order.type == "close":
        await session.close()


async def _write(socket: web.WebSocketResponse, session: Session, viewer: Viewer) -> None:
    """All that the program writes, from where the viewer is. Whoever went away is noticed by the reader."""
    with contextlib.suppress(ConnectionError):
        await _say(socket, {"type": "ready", "session": session.id, "offset": viewer.sent})
        while (found := await session.more(viewer)) is not None:
            if found.lost:
                await _say(socket, {"type": "reset", "offset": found.offset, "lost": found.lost})
            await socket.send_bytes(found.data)
            if len(found.data) > _SMALL_BYTES:
                await asyncio.sleep(_COALESCE_SECONDS)
        await _say(socket, {"type": "exit", "code": session.exit_code})
        await socket.close()


async def _say(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
    await socket.send_str(orjson.dumps(message).decode())


def check_origin(request: web.Request, allowed: frozenset[str]) -> None:
    """Raises Forbidden for a page of another site: a browser sends its user's credentials with whatever page asks."""
    origin = request.headers.get("Origin")
    if origin is not None and origin not in allowed:
        raise Forbidden("pages of this origin may open no terminals; see FUNAI_WORKSPACE_TERMINAL_ORIGINS")
