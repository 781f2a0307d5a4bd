"""People's calls of their workspaces, passed on to the node that has them and back, as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Final

from aiohttp import web
from aiohttp.hdrs import METH_GET
from multidict import CIMultiDict

from daemons.api.domain.access import Subject
from daemons.api.domain.forwarding import (
    MOST_DOCUMENT_BYTES,
    PREFIX,
    Call,
    Carriage,
    call_of,
    carriage,
    checked_document,
    forwarded_headers,
    returned_headers,
)
from daemons.api.domain.rules import forwarded
from daemons.api.domain.workspaces import NoWorkspace, Placement, WorkspaceNode
from daemons.api.http.callers import HELD, subject
from daemons.api.ports.workspaces import NodeAnswer, NodeCall, NodeCalls, NodeRefusedSocket, NodeUnreachable, NotTheNode
from daemons.api.services.node_room import NodeRoom
from daemons.api.services.workspace_ways import Way, Ways
from daemons.kit.auth import Gate
from daemons.kit.bodies import InvalidRequest, refuse, reply
from daemons.kit.endless import endless
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sockets import REFUSED, RESTARTING, End, Ended, bridge
from daemons.kit.tasks import first
from protocol import headers
from protocol.errors import ErrorReason
from protocol.workspace_runs import RunState, RunView
from protocol.workspaces import ContainerStatus, WorkspaceView

_PIECE_BYTES: Final = 256 * 1024
_SHORT_BYTES: Final = 64 * 1024
#: Longer documents are read in a thread: the parser would hold up everybody else.
_QUICK_BYTES: Final = 256 * 1024
_WRITE_SECONDS: Final = 60.0
_BODY_SECONDS: Final = 60.0
_MOST_FRAME_BYTES: Final = 2 * 1024 * 1024
#: How long a call waits for a workspace that is being moved, and between two looks where it is.
_MOVING_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.2
_FENCE: Final = headers.WORKSPACE_FENCE.casefold()
_BODILESS: Final = (204, 304)
#: Why a node opens no line, as far as that is the caller's to know.
REFUSED_LINES: Final = {
    400: ErrorReason.INVALID_REQUEST,
    403: ErrorReason.FORBIDDEN,
    404: ErrorReason.NOT_FOUND,
    409: ErrorReason.APP_LIMIT,
    503: ErrorReason.UNAVAILABLE,
}


class WorkspaceRoutes:
    """People's calls below `/api/fun-ai/workspace`, as the table of rules has them."""

    def __init__(self, ways: Ways, calls: NodeCalls, room: NodeRoom, admin: Gate) -> None:
        """Whoever also passes `admin` is told which node answered."""
        self._ways = ways
        self._room = room
        self._calls = calls
        self._admin = admin
        self._lines: set[End] = set()

    def table(self) -> list[web.RouteDef]:
        """No call but those with a rule: what a node has beside them is not for people."""
        return [
            web.get(path, self.forward) if method == METH_GET else web.route(method, path, self.forward)
            for method, path in forwarded()
        ]

    async def close(self, _app: web.Application) -> None:
        """Clients of open lines are told to come again."""
        for line in tuple(self._lines):
            await line.close(Ended(RESTARTING, b"the API is being restarted"))

    @Answers(status=0, refuses=(404, 415, 502))
    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Check, find the node, pass on."""
        who = subject(request)
        upgrades = request.method == "GET" and request.headers.get("Upgrade", "").casefold() == "websocket"
        call = call_of(request.method, request.raw_path, who, upgrades=upgrades)
        how = carriage(call, request.content_type, has_body=request.body_exists)
        long = _length(request)
        length = _QUICK_BYTES + 1 if long is None else long
        with self._ways.counted(who, long=how is Carriage.DOCUMENT and length > _QUICK_BYTES):
            document, app_id = await self._document(request, call, who) if how is Carriage.DOCUMENT else (None, None)
            until = asyncio.get_running_loop().time() + _MOVING_SECONDS
            while True:
                try:
                    way = await self._ways.lead(who, app_id or call.parameters.get("appId"), makes=call.makes)
                except NoWorkspace:
                    if (told := _nothing_yet(call, who)) is None:
                        raise
                    return told
                order = _order(request, call, who, way[0])
                if how is Carriage.STREAM:
                    order = _with(order, _pieces(request), long)
                elif document:
                    order = _with(order, document, None)
                try:
                    return await self._sent(request, call, way, order)
                except NotTheNode:
                    # A body in pieces is gone; everything else waits for the switch, and goes to who has it then.
                    if how is Carriage.STREAM or asyncio.get_running_loop().time() > until:
                        return later()
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _sent(self, request: web.Request, call: Call, way: Way, order: NodeCall) -> web.StreamResponse:
        try:
            if not call.runs:
                return await (self._opened if call.upgrades else self._passed)(request, way[1], order)
            async with self._room.taken(*way):
                return await self._passed(request, way[1], order)
        except NodeUnreachable as error:
            raise _fault(error) from error.__cause__

    async def _document(self, request: web.Request, call: Call, who: Subject) -> tuple[bytes, str | None]:
        body = await _read(request)
        if len(body) <= _QUICK_BYTES:
            return checked_document(body, call, who)
        return await asyncio.to_thread(checked_document, body, call, who)

    async def _passed(self, request: web.Request, node: WorkspaceNode, order: NodeCall) -> web.StreamResponse:
        async with self._calls.call(node, order) as answer:
            if any(name.casefold() == _FENCE for name, _ in answer.headers):
                raise NotTheNode
            told = [*returned_headers(answer.headers), *self._marks(request, node)]
            empty = request.method == "HEAD" or answer.status in _BODILESS
            if not empty and answer.length is not None and answer.length <= _SHORT_BYTES:
                return web.Response(status=answer.status, headers=CIMultiDict(told), body=await answer.whole())
            response = web.StreamResponse(status=answer.status, headers=CIMultiDict(told))
            if answer.length is not None and answer.status not in _BODILESS:
                response.content_length = answer.length
            await response.prepare(request)
            return response if empty else await streamed(request, response, answer)

    async def _opened(self, request: web.Request, node: WorkspaceNode, order: NodeCall) -> web.StreamResponse:
        try:
            return await self._line(request, node, order)
        except NodeRefusedSocket as error:
            if error.fenced:
                raise NotTheNode from None
            if error.status not in REFUSED_LINES:
                raise
            return refuse(error.status, str(error), REFUSED_LINES[error.status].value)

    async def _line(self, request: web.Request, node: WorkspaceNode, order: NodeCall) -> web.StreamResponse:
        async with self._calls.socket(node, order) as upstream:
            socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_MOST_FRAME_BYTES)
            socket.headers.extend(self._marks(request, node))
            await socket.prepare(request)
            line = End(socket)
            self._lines.add(line)
            try:
                await bridged(request, line, upstream)
            finally:
                self._lines.discard(line)
            return socket

    def _marks(self, request: web.Request, node: WorkspaceNode) -> list[tuple[str, str]]:
        """Files are users' own: no browser guesses what they are on the API's own origin."""
        marks = [("X-Content-Type-Options", "nosniff")]
        if self._admin.proves(request):
            marks += [(headers.WORKSPACE_PROXIED, "1"), (headers.WORKSPACE_UPSTREAM, node.api_base_url)]
        return marks


def _order(request: web.Request, call: Call, who: Subject, placement: Placement) -> NodeCall:
    query = call.query(who.user_id, placement.epoch)
    given = forwarded_headers(request.headers.items())
    return NodeCall(call.method, f"{PREFIX}{call.path}", query, given, patience=call.patience)


def _with(order: NodeCall, body: bytes | AsyncIterator[bytes], length: int | None) -> NodeCall:
    return NodeCall(order.method, order.path, order.query, order.headers, body, length, order.patience)


def later() -> web.Response:
    """The workspace is on its way between nodes."""
    answer = refuse(
        503, "your workspace is being moved to another node; try again in a moment", ErrorReason.UNAVAILABLE.value
    )
    answer.headers["Retry-After"] = "2"
    return answer


def _length(request: web.Request) -> int | None:
    """How long the body is as it is read; nobody knows of one that comes packed."""
    return None if "Content-Encoding" in request.headers else request.content_length


def _fault(error: NodeUnreachable) -> Exception:
    """Why nothing reached the node: it may have been the body that was to go there."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InvalidRequest):
            return cause
        cause = cause.__cause__
    return error


async def _read(request: web.Request) -> bytes:
    """A document. Raises InvalidRequest, HTTPRequestEntityTooLarge."""
    read = bytearray()
    async for piece in _pieces(request):
        read += piece
        if len(read) > MOST_DOCUMENT_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_DOCUMENT_BYTES, len(read))
    return bytes(read)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises InvalidRequest when nothing comes for a minute, or the client goes away."""
    try:
        while True:
            async with asyncio.timeout(_BODY_SECONDS):
                piece = await request.content.read(_PIECE_BYTES)
            if not piece:
                return
            yield piece
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise InvalidRequest("body: ended early", ["body"]) from None


async def bridged(request: web.Request, line: End, upstream: End) -> None:
    """A line until it ends, or the right to it does: that is said to the client in the way of lines."""
    over = asyncio.Event()
    if (held := request.get(HELD)) is not None:
        held.end = over.set

    async def ended() -> None:
        await over.wait()
        await line.close(Ended(REFUSED, b"you may not go on; log in again"))

    await first(bridge(line, upstream), ended())


async def streamed(request: web.Request, response: web.StreamResponse, answer: NodeAnswer) -> web.StreamResponse:
    """The rest of an answer whose head has gone out: it ends as the node's does, or breaks off as the node's does."""
    try:
        with endless(request) if response.content_type == EVENTS else nullcontext():
            async for piece in answer.pieces():
                async with asyncio.timeout(_WRITE_SECONDS):
                    await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        return response
    except (NodeUnreachable, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    return response


def _nothing_yet(call: Call, who: Subject) -> web.Response | None:
    """What is asked of a workspace that was never made, where that has a documented answer."""
    if call.method != "GET":
        return None
    if call.path == "/container/status":
        return reply(_no_container(who))
    if call.path == "/run/status":
        return reply(RunView(user_id=str(who.user_id), state=RunState.IDLE))
    return None


def _no_container(who: Subject) -> WorkspaceView:
    return WorkspaceView(
        user_id=str(who.user_id),
        container_name=f"ws-u-{who.user_id}",
        container_status=ContainerStatus.NOT_CREATED,
        image="",
        host_port=0,
        container_port=0,
        host_workspace_dir="",
        host_apps_dir="",
        container_workspace_dir="",
        container_apps_dir="",
    )
