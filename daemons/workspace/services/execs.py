"""What operators run in workspaces: on a terminal or with streams of its own, ended when whoever asked for it is gone.

The workspace runs, and is not frozen, for as long as it takes; a terminal at which nothing happens is closed.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pydantic import ValidationError

from daemons.kit.engine.errors import EngineError
from daemons.kit.line_terminals import asked_first, typed
from daemons.kit.lines import Line, LineLost
from daemons.kit.seats import NoSeat, Seats
from daemons.kit.tasks import first
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.programs import Program
from daemons.workspace.domain.workspaces import Phase, container_name
from daemons.workspace.ports.programs import Attachment, Programs, Terminal
from daemons.workspace.services.workspaces import Workspaces
from protocol.shell import ShellBegun, ShellEnd, ShellEndReason
from protocol.workspace_operators import EXEC_ORDER, ExecEof, ExecRef, ExecStart

logger = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 2.0
#: What was written before the end may still be on its way.
_LAST_SECONDS: Final = 5.0
_MOST: Final = 64
_MOST_EACH: Final = 16
_SHELL: Final = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l")
_PIECE_BYTES: Final = 64 * 1024


class Execs:
    """`room` admits, `serve` carries one out. A terminal at which nothing happens for `idle_seconds` is closed."""

    def __init__(self, workspaces: Workspaces, programs: Programs, idle_seconds: float = 3600.0) -> None:
        self._workspaces = workspaces
        self._programs = programs
        self._idle_seconds = idle_seconds
        self._seats = Seats("runs of operators", _MOST, _MOST_EACH)
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def room(self, asked: ExecRef) -> AsyncIterator[None]:
        """Room for one, in a container that runs. Raises NoSeat, and as `Workspaces.ensure`."""
        if self._closing.is_set():
            raise NoSeat("this node is being stopped; try again in a moment")
        with self._seats.take(f"user {asked.user_id}"):
            async with self._workspaces.awake(asked.user_id, asked.epoch):
                yield

    async def serve(self, asked: ExecRef, line: Line) -> None:
        """One, from its first frame to its last."""
        try:
            end = await self._begun(asked, line)
            await line.send(end.to_json().decode())
        except LineLost:
            logger.info("an operator left what they ran", extra={"user_id": asked.user_id})

    async def close(self) -> None:
        """End all, telling why."""
        self._closing.set()
        await self._seats.left(_LAST_SECONDS)

    async def _begun(self, asked: ExecRef, line: Line) -> ShellEnd:
        """Raises LineLost."""
        order = await asked_first(line, EXEC_ORDER, ExecStart)
        if order is None:
            return ShellEnd(reason=ShellEndReason.FAILED, text="the first frame must say what to start")
        tag = f"oper{secrets.token_hex(8)}"
        try:
            return await (self._on_terminal if order.terminal else self._on_streams)(asked, order, tag, line)
        except EngineError as error:
            return ShellEnd(reason=ShellEndReason.FAILED, text=str(error))

    async def _on_terminal(self, asked: ExecRef, order: ExecStart, tag: str, line: Line) -> ShellEnd:
        program, size = _program(asked, order), (order.cols, order.rows)
        async with self._programs.open(asked.user_id, program, tag, size) as terminal:
            await _told(line, asked)
            watch = _Watch(self._idle_seconds)
            return await first(
                self._shown(asked, terminal, line, watch),
                typed(terminal, line, EXEC_ORDER, watch.touch),
                watch.over(),
                self._closed(),
            )

    async def _shown(self, asked: ExecRef, terminal: Terminal, line: Line, watch: "_Watch") -> ShellEnd:
        while data := await terminal.read():
            watch.touch()
            await line.send(data)
        return self._ended(asked, await terminal.exit_code())

    async def _on_streams(self, asked: ExecRef, order: ExecStart, tag: str, line: Line) -> ShellEnd:
        program = _program(asked, order)
        try:
            async with self._programs.attached(asked.user_id, program, tag) as found:
                await _told(line, asked)
                return await first(self._done(asked, found, tag, line), _fed(found, line), self._closed())
        finally:
            await self._programs.end(asked.user_id, tag, _GRACE_SECONDS)

    async def _done(self, asked: ExecRef, found: Attachment, tag: str, line: Line) -> ShellEnd:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(_written(found, line))
            await found.gone()
            # What it left running would hold its output open.
            await self._programs.end(asked.user_id, tag, 0.0)
            await asyncio.wait({writing}, timeout=_LAST_SECONDS)
            writing.cancel()
        return self._ended(asked, await found.exit_code())

    def _ended(self, asked: ExecRef, code: int | None) -> ShellEnd:
        workspace = self._workspaces.find(asked.user_id)
        if code is None or workspace is None or workspace.phase is not Phase.RUNNING:
            text = "the workspace was stopped meanwhile"
            return ShellEnd(reason=ShellEndReason.STOPPED, exit_code=code, text=text)
        return ShellEnd(reason=ShellEndReason.EXITED, exit_code=code)

    async def _closed(self) -> ShellEnd:
        await self._closing.wait()
        return ShellEnd(reason=ShellEndReason.SHUTDOWN, text="the node is being stopped; try again in a moment")


class _Watch:
    """When something was typed or written last."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._last = asyncio.get_running_loop().time()

    def touch(self) -> None:
        """Now."""
        self._last = asyncio.get_running_loop().time()

    async def over(self) -> ShellEnd:
        """When nothing happened for too long."""
        while (left := self._last + self._idle_seconds - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        text = f"nothing was typed or written for {self._idle_seconds / 60:.0f} minutes"
        return ShellEnd(reason=ShellEndReason.IDLE, text=text)


def _program(asked: ExecRef, order: ExecStart) -> Program:
    folder = f"{WORKDIR}/apps/{asked.app_id}" if asked.app_id else WORKDIR
    variables = {"TERM": order.term} if order.terminal else {}
    return Program(order.command or _SHELL, folder, variables, fed=not order.terminal)


async def _told(line: Line, asked: ExecRef) -> None:
    await line.send(ShellBegun(container=container_name(asked.user_id)).to_json().decode())


async def _written(found: Attachment, line: Line) -> None:
    while (piece := await found.read()) is not None:
        stream, data = piece
        for begin in range(0, len(data), _PIECE_BYTES):
            await line.send(bytes((stream,)) + data[begin : begin + _PIECE_BYTES])


async def _fed(found: Attachment, line: Line) -> ShellEnd:
    """Its input, until whoever gives it is gone."""
    while (frame := await line.receive()) is not None:
        if isinstance(frame, bytes):
            await found.write(frame)
            continue
        try:
            order = EXEC_ORDER.validate_json(frame)
        except ValidationError:
            return ShellEnd(reason=ShellEndReason.FAILED, text="a frame was not understood")
        if isinstance(order, ExecEof):
            found.close_input()
    return ShellEnd(reason=ShellEndReason.LEFT)
