"""What operators see of and do with users' workspaces, passed on to the node that has each. Every order is logged with
where it came from, before it is passed on and with what came of it."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from pydantic import ValidationError

from daemons.api.domain.forwarding import PREFIX, returned_headers
from daemons.api.domain.workspaces import Placement, WorkspaceNode
from daemons.api.http.workspaces import REFUSED_LINES, bridged, streamed
from daemons.api.ports.workspaces import NodeCall, NodeCalls, NodeRefusedSocket
from daemons.api.services.workspace_operators import OperatedWorkspaces, Standing
from daemons.kit.auth import CALLER, SOURCE
from daemons.kit.bodies import number, query, refuse, reply
from daemons.kit.openapi import EVENTS, SOCKET, Answers
from daemons.kit.sockets import NORMAL, RESTARTING, End, Ended
from protocol.workspace_nodes import OfWorkspaceNode
from protocol.workspace_operators import (
    EXEC_ORDER,
    MOST_ASKED,
    ExecRef,
    ExecStart,
    WorkspaceFigures,
    WorkspaceStanding,
    WorkspaceStandings,
)
from protocol.workspace_runs import LogRef, RunLog, RunView
from protocol.workspaces import ContainerStatus, UserRef

logger = logging.getLogger(__name__)

_BASE: Final = "/api/fun-ai/admin/workspaces"
_LOOKING_SECONDS: Final = 30.0
#: A container may be pulled, made and started before the answer begins.
_MAKING_SECONDS: Final = 330.0
_FIRST_SECONDS: Final = 15.0
_MOST_FRAME_BYTES: Final = 2 * 1024 * 1024
_MOST_TAIL: Final = 8 * 1024 * 1024


class WorkspaceOperatorRoutes:
    """`/api/fun-ai/admin/workspaces/**`: nothing passes that is not named here."""

    def __init__(self, workspaces: OperatedWorkspaces, calls: NodeCalls) -> None:
        self._workspaces = workspaces
        self._calls = calls
        self._lines: set[End] = set()

    def table(self) -> list[web.RouteDef]:
        """For operators."""
        return [
            web.get(f"{_BASE}/list", self.page),
            web.get(f"{_BASE}/show", self.show),
            web.post(f"{_BASE}/start", self.start),
            web.post(f"{_BASE}/stop", self.stop),
            web.get(f"{_BASE}/run", self.run),
            web.get(f"{_BASE}/log", self.log),
            web.get(f"{_BASE}/log/events", self.follow, allow_head=False),
            web.get(f"{_BASE}/exec", self.execute, allow_head=False),
        ]

    async def close(self, _app: web.Application) -> None:
        """Who runs something is told to come again."""
        for line in tuple(self._lines):
            await line.close(Ended(RESTARTING, b"the API is being restarted"))

    @Answers(WorkspaceStandings, refuses=(404,))
    async def page(self, request: web.Request) -> web.Response:
        """Some of a node's workspaces."""
        node_id = query(request, OfWorkspaceNode).node_id
        offset = number(request, "offset", default=0, low=0, high=2**53)
        limit = number(request, "limit", default=200, low=1, high=MOST_ASKED)
        total, found = await self._workspaces.page(node_id, offset, limit)
        return reply(WorkspaceStandings(node_id=node_id, total=total, items=tuple(map(_standing, found))))

    @Answers(WorkspaceStanding, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """One."""
        return reply(_standing(await self._workspaces.one(query(request, UserRef).user_id)))

    @Answers(WorkspaceStanding, refuses=(404, 409, 502))
    async def start(self, request: web.Request) -> web.StreamResponse:
        """Its container runs afterwards."""
        return await self._ordered(request, "start", "container/ensure", _MAKING_SECONDS)

    @Answers(WorkspaceStanding, refuses=(404, 409, 502))
    async def stop(self, request: web.Request) -> web.StreamResponse:
        """Its container has ended; files stay, and the next use starts it again."""
        return await self._ordered(request, "stop", "internal/stop", _LOOKING_SECONDS)

    @Answers(RunView, refuses=(404, 409, 502))
    async def run(self, request: web.Request) -> web.StreamResponse:
        """How the user's run goes."""
        way = await self._workspaces.way(query(request, UserRef).user_id)
        return await self._whole(way, _call("GET", "run/status", way[0], {}, _LOOKING_SECONDS))

    @Answers(RunLog, envelope=False, refuses=(404, 409, 502))
    async def log(self, request: web.Request) -> web.StreamResponse:
        """The log of a run as one text."""
        which, tail = query(request, LogRef), number(request, "tailBytes", default=0, low=0, high=_MOST_TAIL)
        way = await self._read(request, which)
        asked = {"appId": which.app_id, "type": which.type, "tailBytes": str(tail)}
        return await self._whole(way, _call("GET", "realtime/log", way[0], asked, _LOOKING_SECONDS))

    @Answers(media=EVENTS, endless=True, refuses=(404, 409, 502))
    async def follow(self, request: web.Request) -> web.StreamResponse:
        """The same as server-sent events."""
        which, offset = query(request, LogRef), number(request, "offset", default=0, low=0, high=2**53)
        way = await self._read(request, which)
        asked = {"appId": which.app_id, "type": which.type, "offset": str(offset)}
        async with self._calls.call(
            way[1], _call("GET", "realtime/log/events", way[0], asked, _LOOKING_SECONDS)
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers=CIMultiDict(returned_headers(answer.headers)))
            await response.prepare(request)
            return await streamed(request, response, answer)

    @Answers(media=SOCKET, status=101, refuses=(404, 409, 429, 502))
    async def execute(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that carries one run; what it begins with is logged and passed on."""
        asked = query(request, ExecRef)
        way = await self._workspaces.way(asked.user_id)
        app = {"appId": asked.app_id} if asked.app_id else {}
        call = _call("GET", "internal/exec", way[0], app, _MAKING_SECONDS)
        if request.headers.get("Upgrade", "").casefold() != "websocket" or "Origin" in request.headers:
            return refuse(400, "this is a WebSocket, and none for a page in a browser", "invalid_request")
        try:
            async with self._calls.socket(way[1], call) as upstream:
                return await self._carried(request, asked, way, upstream)
        except NodeRefusedSocket as error:
            if error.fenced:
                return refuse(409, "the workspace is being moved to another node; try again in a moment", "changed")
            if error.status not in REFUSED_LINES:
                raise
            return refuse(error.status, str(error), REFUSED_LINES[error.status].value)

    async def _carried(
        self, request: web.Request, asked: ExecRef, way: tuple[Placement, WorkspaceNode], upstream: End
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_MOST_FRAME_BYTES)
        await socket.prepare(request)
        line, first = End(socket), await _first(socket)
        start = _start_of(first)
        if first is None or start is None:
            await line.close(Ended(NORMAL, b"the first frame must say what to start"))
            return socket
        said = {"command": list(start.command), "app_id": asked.app_id}
        _logged(request, "exec", way, "begun", **said)
        self._lines.add(line)
        try:
            await upstream.send(aiohttp.WSMsgType.TEXT, first)
            await bridged(request, line, upstream)
        finally:
            self._lines.discard(line)
            _logged(request, "exec", way, "ended", **said)
        return socket

    async def _ordered(self, request: web.Request, order: str, path: str, patience: float) -> web.StreamResponse:
        way = await self._workspaces.way(query(request, UserRef).user_id)
        _logged(request, order, way, "asked")
        answer = await self._whole(way, _call("POST", path, way[0], {}, patience))
        _logged(request, order, way, f"answered {answer.status}")
        if answer.status != 200:
            return answer
        return reply(_standing(await self._workspaces.one(str(way[0].user_id))))

    async def _read(self, request: web.Request, which: LogRef) -> tuple[Placement, WorkspaceNode]:
        way = await self._workspaces.way(which.user_id)
        _logged(request, "log", way, "asked", app_id=which.app_id)
        return way

    async def _whole(self, way: tuple[Placement, WorkspaceNode], call: NodeCall) -> web.Response:
        async with self._calls.call(way[1], call) as answer:
            told = CIMultiDict(returned_headers(answer.headers))
            return web.Response(status=answer.status, headers=told, body=await answer.whole())


def _call(method: str, path: str, placement: Placement, asked: Mapping[str, str], patience: float) -> NodeCall:
    """Only what was read here goes on, written anew."""
    told = urlencode({**asked, "userId": str(placement.user_id), "epoch": str(placement.epoch)})
    return NodeCall(method, f"{PREFIX}/{path}", told, {}, patience=patience)


async def _first(socket: web.WebSocketResponse) -> str | None:
    try:
        async with asyncio.timeout(_FIRST_SECONDS):
            message = await socket.receive()
    except TimeoutError:
        return None
    return message.data if message.type is aiohttp.WSMsgType.TEXT else None


def _start_of(frame: str | None) -> ExecStart | None:
    try:
        order = EXEC_ORDER.validate_json(frame) if frame is not None else None
    except ValidationError:
        return None
    return order if isinstance(order, ExecStart) else None


def _logged(
    request: web.Request, order: str, way: tuple[Placement, WorkspaceNode], outcome: str, **more: object
) -> None:
    """Never what was typed or written."""
    said = {"order": order, "user_id": str(way[0].user_id), "node": way[1].name, "outcome": outcome}
    logger.info(
        "an operator's order", extra={**said, "caller": request[CALLER], "source_address": request[SOURCE], **more}
    )


def _standing(standing: Standing) -> WorkspaceStanding:
    placement, node = standing.placement, standing.node
    told = standing.figures
    if told is None:
        status = ContainerStatus.UNKNOWN if standing.silence else ContainerStatus.NOT_CREATED
        told = WorkspaceFigures(user_id=str(placement.user_id), container_status=status)
    figures = {**dict(told), "epoch": placement.epoch, "used_at_ms": told.used_at_ms or placement.active_at or None}
    reason = standing.silence or told.message or None
    return WorkspaceStanding(**figures, node_id=node.id, node=node.name, reason=reason)
