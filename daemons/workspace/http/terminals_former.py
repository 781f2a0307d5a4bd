"""Terminals as existing clients speak to them: every frame is JSON, `{"type": ..., "data": ...}`.

From the client: `stdin` (text for the shell), `exec` (a command beside the shell, one at a time), `cancel` (end that
command), `ctrl_c`, `resize` (`cols`, `rows`), `close`; whatever is no such message is a line for the shell. To the
client: `ready`, `stdout`, `exec_start`, `exec_stdout`, `exec_exit` (`code`), `exec_cancel`, `ctrl_c`, `resize`, `exit`
(`code`), `error`. The sessions are those of the other terminals, but end with the connection: such a client cannot
come back.
"""

import asyncio
import codecs
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web
from pydantic import ValidationError

from daemons.kit.engine.errors import EngineError
from daemons.kit.openapi import SOCKET, Answers
from daemons.workspace.domain.workspaces import IllegalStep
from daemons.workspace.http.callers import named
from daemons.workspace.http.terminals import check_origin
from daemons.workspace.ports import HomeError, RecordError
from daemons.workspace.services.terminals import BEGUN, Kind, Session, Terminals, TooManySessions
from protocol.workspace_terminals import FormerOrder, TerminalRef

_PATH: Final = "/api/fun-ai/workspace/ws/terminal"
_MOST_BYTES: Final = 1024 * 1024
_PING_SECONDS: Final = 20.0
_INTERRUPT: Final = b"\x03"
_BEGIN_SECONDS: Final = 10.0
_TROUBLES: Final = (EngineError, HomeError, RecordError, IllegalStep, TooManySessions)


class FormerTerminalRoutes:
    """`origins` are the pages that may open terminals, beside callers that are no browsers."""

    def __init__(self, terminals: Terminals, origins: Sequence[str]) -> None:
        self._terminals = terminals
        self._origins = frozenset(origins)

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [web.get(_PATH, self.attach)]

    @Answers(media=SOCKET, status=101, refuses=(403, 404, 409, 502))
    async def attach(self, request: web.Request) -> web.WebSocketResponse:
        """A shell for as long as the connection lasts."""
        check_origin(request, self._origins)
        wanted = named(request, TerminalRef)
        size = (wanted.cols, wanted.rows)
        shell = await self._terminals.open(wanted.user_id, wanted.app_id, size, Kind.PLAIN)
        socket = web.WebSocketResponse(heartbeat=_PING_SECONDS, max_msg_size=_MOST_BYTES)
        line = _Line(socket, self._terminals, shell, size)
        try:
            await socket.prepare(request)
            await line.serve()
        finally:
            await line.end()
        return socket


class _Line:
    """One connection: its shell, and the command that runs beside it."""

    def __init__(
        self, socket: web.WebSocketResponse, terminals: Terminals, shell: Session, size: tuple[int, int]
    ) -> None:
        self._socket = socket
        self._terminals = terminals
        self._shell = shell
        self._size = size
        self._job: Session | None = None
        self._cancelled = False
        self._orders: dict[str, Callable[[FormerOrder], Any]] = {
            "stdin": self._stdin,
            "exec": self._exec,
            "cancel": self._cancel,
            "ctrl_c": self._interrupt,
            "resize": self._resize,
            "close": self._close,
        }

    async def serve(self) -> None:
        """Until one side ends."""
        await self._begin()
        async with asyncio.TaskGroup() as group:
            self._group = group
            showing = group.create_task(self._show_shell())
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._obey(message.data)
            showing.cancel()
            await self.end()

    async def _begin(self) -> None:
        """The shell listens, and echoes nothing. One that does not say so in time goes on as it is."""
        viewer = self._shell.join(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_SECONDS):
                while (found := await self._shell.more(viewer)) is not None and not found.data:
                    continue
        await self._shell.leave(viewer)

    async def end(self) -> None:
        """Nothing of it runs afterwards."""
        for session in (self._job, self._shell):
            if session is not None:
                await session.close()

    async def _obey(self, data: str | bytes) -> None:
        try:
            order = FormerOrder.model_validate_json(data)
        except ValidationError:
            text = data if isinstance(data, str) else data.decode("utf-8", "replace")
            order = FormerOrder(type="stdin", data=f"{text}\n")
        try:
            await self._orders.get(order.type, self._stdin)(order)
        except _TROUBLES as error:
            await self._say("error", str(error))

    async def _stdin(self, order: FormerOrder) -> None:
        await self._terminals.type(self._shell, (order.data or "").encode())

    async def _exec(self, order: FormerOrder) -> None:
        if self._job is not None:
            await self._say("error", "a command runs already; cancel it, or wait for its end")
            return
        if not order.data:
            await self._say("error", "exec: data must be the command")
            return
        shell = self._shell
        self._cancelled = False
        self._job = await self._terminals.open(shell.user_id, shell.app_id, self._size, Kind.COMMAND, order.data)
        await self._say("exec_start", order.data)
        self._group.create_task(self._show_job(self._job))

    async def _cancel(self, order: FormerOrder) -> None:
        if self._job is not None:
            self._cancelled = True
            await self._job.close()

    async def _interrupt(self, order: FormerOrder) -> None:
        await self._terminals.type(self._job or self._shell, _INTERRUPT)
        await self._say("ctrl_c", "")

    async def _resize(self, order: FormerOrder) -> None:
        if order.cols and order.rows:
            self._size = (order.cols, order.rows)
            for session in (self._job, self._shell):
                if session is not None:
                    await session.resize(order.cols, order.rows)
        await self._say("resize", "", cols=self._size[0], rows=self._size[1])

    async def _close(self, order: FormerOrder) -> None:
        await self.end()

    async def _show_shell(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._say("ready", "", session=self._shell.id)
            await self._show(self._shell, "stdout", len(BEGUN))
            await self._say("exit", _text(self._shell.exit_code), code=self._shell.exit_code)
            await self._socket.close()

    async def _show_job(self, job: Session) -> None:
        with contextlib.suppress(ConnectionError):
            await self._show(job, "exec_stdout")
            # Whoever is told of its end may begin the next one at once.
            await job.gone.wait()
            self._job = None
            if self._cancelled:
                await self._say("exec_cancel", "")
            await self._say("exec_exit", _text(job.exit_code), code=job.exit_code)

    async def _show(self, session: Session, kind: str, offset: int = 0) -> None:
        """All that it writes from there on, as text: a character may come in two pieces."""
        viewer, decode = session.join(offset), codecs.getincrementaldecoder("utf-8")("replace").decode
        try:
            while (found := await session.more(viewer)) is not None:
                if text := decode(found.data):
                    await self._say(kind, text)
                # Such clients say nothing about what they have read; what was sent is read.
                await session.acknowledge(viewer, viewer.sent)
        finally:
            await session.leave(viewer)

    async def _say(self, kind: str, data: str, **more: object) -> None:
        await self._socket.send_str(orjson.dumps({"type": kind, "data": data, **more}).decode())


def _text(code: int | None) -> str:
    return "" if code is None else str(code)
