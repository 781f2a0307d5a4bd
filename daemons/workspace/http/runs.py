"""Runs of apps: begin, stop, look, and follow how they go."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, Literal

import orjson
from aiohttp import web

from daemons.kit.bodies import bare, number, reply
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sse import Frame, stream
from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.sockets import way_in
from daemons.workspace.http.callers import named
from daemons.workspace.ports import Use
from daemons.workspace.services.runlogs import LogKind, RunLogReader
from daemons.workspace.services.runs import Runs, Seen
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_runs import LogRef, RunLog, RunState, RunType, RunView
from protocol.workspaces import AppRef, UserRef

_BASE: Final = "/api/fun-ai/workspace/run"
_LOG: Final = "/api/fun-ai/workspace/realtime/log"
_TICK_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 20.0
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-WS-Log-Version": "json-v2"}


class RunRoutes:
    """Sections A.6 and A.9 of the contract."""

    def __init__(
        self, runs: Runs, logs: RunLogReader, workspaces: Workspaces, seen_at: Addresses, container_port: int
    ) -> None:
        """`seen_at` is where visitors see previews."""
        self._runs = runs
        self._logs = logs
        self._workspaces = workspaces
        self._seen_at = seen_at
        self._port = container_port

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [
            web.post(f"{_BASE}/start", self.start),
            web.post(f"{_BASE}/preview", self.preview),
            web.post(f"{_BASE}/build", self.build),
            web.post(f"{_BASE}/install", self.install),
            web.post(f"{_BASE}/stop", self.stop),
            web.get(f"{_BASE}/status", self.status),
            web.get(_LOG, self.log),
            web.get(f"{_LOG}/events", self.follow),
            web.post(f"{_LOG}/clear", self.clear),
            web.get("/api/fun-ai/workspace/realtime/events", self.events),
        ]

    @Answers(RunView, refuses=(404, 409, 502))
    async def start(self, request: web.Request) -> web.Response:
        """The development server."""
        return await self._begin(request, RunType.DEV)

    @Answers(RunView, refuses=(404, 409, 502))
    async def preview(self, request: web.Request) -> web.Response:
        """The server that visitors see."""
        return await self._begin(request, RunType.START)

    @Answers(RunView, refuses=(404, 409, 502))
    async def build(self, request: web.Request) -> web.Response:
        """A build."""
        return await self._begin(request, RunType.BUILD)

    @Answers(RunView, refuses=(404, 409, 502))
    async def install(self, request: web.Request) -> web.Response:
        """The installation of dependencies."""
        return await self._begin(request, RunType.INSTALL)

    @Answers(RunView, refuses=(502,))
    async def stop(self, request: web.Request) -> web.Response:
        """Nothing runs afterwards."""
        who = named(request, UserRef)
        await self._runs.stop(who.user_id)
        self._workspaces.touch(who.user_id, Use.CALL)
        return reply(self._view(who.user_id, await self._runs.look(who.user_id)))

    @Answers(RunView, refuses=(502,))
    async def status(self, request: web.Request) -> web.Response:
        """As it is."""
        who = named(request, UserRef)
        return reply(self._view(who.user_id, await self._runs.look(who.user_id)))

    @Answers(RunLog, envelope=False, refuses=(404,))
    async def log(self, request: web.Request) -> web.Response:
        """The log of the newest run of a kind, as one text, without an envelope."""
        which = named(request, LogRef)
        most = number(request, "tailBytes", default=0, low=0, high=8 * 1024 * 1024)
        run = self._runs.find(which.user_id)
        kind = LogKind.of(which.type)
        text = await self._logs.text(which.user_id, which.app_id, kind, run, most)
        document: dict[str, object] = {"log": text}
        if kind is LogKind.BUILD:
            going = run is not None and run.type is RunType.BUILD and run.finished_at_ms is None
            document = {"isFinish": not going, "log": "" if going and not most else text}
        response = bare(document)
        response.headers.update(_HEADERS)
        return response

    @Answers(media=EVENTS, endless=True, refuses=(404,))
    async def follow(self, request: web.Request) -> web.StreamResponse:
        """The same as server-sent events: each piece with its offset, from the one that was asked for."""
        which = named(request, LogRef)
        offset = number(request, "offset", default=0, low=0, high=2**53)
        return await stream(request, self._pieces(which, offset))

    @Answers(Literal["ok"], refuses=(404,))
    async def clear(self, request: web.Request) -> web.Response:
        """What the logs of a kind said is gone; a program that writes goes on."""
        which = named(request, LogRef)
        await self._logs.clear(which.user_id, which.app_id, LogKind.of(which.type))
        self._workspaces.touch(which.user_id, Use.CALL)
        return reply("ok")

    @Answers(RunView, media=EVENTS, endless=True)
    async def events(self, request: web.Request) -> web.StreamResponse:
        """How the run goes, whenever that changes."""
        return await stream(request, self._changes(named(request, AppRef).user_id))

    async def _begin(self, request: web.Request, kind: RunType) -> web.Response:
        which = named(request, AppRef)
        self._workspaces.touch(which.user_id, Use.CALL)
        seen = await self._runs.start(which.user_id, which.app_id, kind, which.epoch)
        return reply(self._view(which.user_id, seen))

    async def _pieces(self, which: LogRef, offset: int) -> AsyncGenerator[bytes, None]:
        async for piece in self._logs.follow(which.user_id, which.app_id, LogKind.of(which.type), offset):
            document = {"offset": piece.offset, "size": piece.size, "text": piece.data.decode("utf-8", "replace")}
            yield Frame("log", orjson.dumps(document), piece.offset + len(piece.data)).wire if piece.data else b":\n\n"
        yield Frame("end", b"{}").wire

    async def _changes(self, user_id: str) -> AsyncGenerator[bytes, None]:
        last, silent = b"", 0.0
        while True:
            found = self._view(user_id, await self._runs.look(user_id)).to_json()
            if found != last:
                yield Frame("status", found).wire
                last, silent = found, 0.0
            elif silent >= _BEAT_SECONDS:
                yield b":\n\n"
                silent = 0.0
            await asyncio.sleep(_TICK_SECONDS)
            silent += _TICK_SECONDS

    def _view(self, user_id: str, seen: Seen) -> RunView:
        run, workspace = seen.run, self._workspaces.find(user_id)
        if run is None:
            return RunView(user_id=user_id, state=seen.state)
        way = way_in(seen.listeners, self._port)
        return RunView(
            user_id=user_id,
            state=seen.state,
            type=run.type,
            app_id=run.app_id,
            host_port=workspace.host_port if workspace else None,
            container_port=self._port,
            pid=seen.pid,
            port_listen_pid=seen.listen_pid,
            exit_code=run.exit_code,
            preview_url=self._seen_at.url(run.app_id) if seen.state is RunState.RUNNING else None,
            log_path=f"/workspace/run/{run.log}",
            started_at_ms=run.started_at_ms,
            finished_at_ms=run.finished_at_ms,
            listening=(way.port,) if way else (),
            framework=run.framework or None,
            message=seen.message,
        )
