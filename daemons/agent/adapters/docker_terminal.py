"""Processes on terminals in containers, by the engine's exec calls.

The engine ends nothing when its caller goes away: what is left is found by its mark and killed from inside the
container, as the same user, which needs no rights on this machine; where the image has no shell to do that with, by the
process's number on this machine, if the agent may.
Format: Docker Engine API 1.41, ContainerExec and ExecStart (a terminal's stream is raw).
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError
from aiodocker.execs import Exec
from aiodocker.stream import Stream

from daemons.agent.adapters.docker_logs import itself
from daemons.agent.domain.shell import Run, sweep, sweep_others
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_CALL_SECONDS: Final = 10.0
#: A process that reads nothing of what is typed fills its terminal; then the shell is given up.
_TYPE_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 32 * 1024
_SETTLE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.02
#: The engine takes a sequence of keys for itself. Any is wrong; this one nobody types.
_DETACH_KEYS: Final = "ctrl-@,ctrl-_,ctrl-@,ctrl-_,ctrl-@"
_FAILURES: Final = (DockerError, aiohttp.ClientError, OSError, TimeoutError)


class DockerTerminal:
    """One exec of the engine."""

    def __init__(self, name: str, execution: Exec, stream: Stream) -> None:
        self._name = name
        self._exec = execution
        self._stream = stream
        self._held = b""

    async def read(self) -> bytes:
        """Raises EngineError."""
        if not self._held:
            try:
                message = await self._stream.read_out()
            except _FAILURES as error:
                raise _broken(self._name, error) from error
            self._held = message.data if message is not None else b""
        piece, self._held = self._held[:_PIECE_BYTES], self._held[_PIECE_BYTES:]
        return piece

    async def write(self, data: bytes) -> None:
        """Raises EngineError. What is typed after the end is nobody's."""
        try:
            async with asyncio.timeout(_TYPE_SECONDS):
                await self._stream.write_in(data)
        except TimeoutError:
            raise EngineError(f"the process takes nothing of what was typed for {_TYPE_SECONDS:g} s") from None
        except (AssertionError, RuntimeError, ConnectionError, aiohttp.ClientError):
            # So the library says that the stream has ended; whoever reads it is told by the stream itself.
            return

    async def resize(self, cols: int, rows: int) -> None:
        """Raises EngineError, but not when the process has ended meanwhile: there is nothing to resize."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await self._resize(cols, rows)
        except _FAILURES as error:
            raise _broken(self._name, error) from error

    async def exit_code(self) -> int | None:
        """Raises EngineError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLE_SECONDS
        while True:
            found = await self.inspect()
            if found is None or loop.time() >= until:
                return None
            if not found["Running"]:
                code = found.get("ExitCode")
                return code if isinstance(code, int) else None
            await asyncio.sleep(_LOOK_SECONDS)

    async def inspect(self) -> dict[str, Any] | None:
        """What the engine says of it; None when it was removed with its container. Raises EngineError."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await self._exec.inspect()
        except _FAILURES as error:
            if isinstance(error, DockerError) and error.status == HTTPStatus.NOT_FOUND:
                return None
            raise _broken(self._name, error) from error

    async def _resize(self, cols: int, rows: int) -> None:
        """The engine refuses it for a process that it has not quite begun; that is a matter of milliseconds."""
        while True:
            try:
                await self._exec.resize(w=cols, h=rows)
                return
            except DockerError:
                found = await self._exec.inspect()
                if not found["Running"] and found.get("ExitCode") is not None:
                    return
            await asyncio.sleep(_LOOK_SECONDS)


class DockerTerminals:
    """The port `Terminals` over one engine; `locate` tells the engine's name of an instance's container."""

    def __init__(self, docker: Docker, locate: Callable[[str], Awaitable[str]] = itself) -> None:
        self._docker = docker
        self._locate = locate

    @asynccontextmanager
    async def open(self, name: str, run: Run, mark: str) -> AsyncIterator[DockerTerminal]:
        """Entering it raises EngineError."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    terminal = await self._begin(await self._locate(name), run, mark, stack)
            except _FAILURES as error:
                raise _broken(name, error) from error
            await terminal.resize(run.cols, run.rows)
            yield terminal

    async def tidy(self, name: str, spared: str) -> None:
        """Raises EngineError."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                container = await self._locate(name)
                document = await self._docker.containers.container(container).show()
        except _FAILURES as error:
            if isinstance(error, DockerError) and error.status == HTTPStatus.NOT_FOUND:
                return
            raise _broken(name, error) from error
        # The engine forgets those that have ended: mostly there is none.
        if document.get("ExecIDs"):
            await self._sweep(container, sweep_others(spared))

    async def _begin(self, name: str, run: Run, mark: str, stack: AsyncExitStack) -> DockerTerminal:
        execution = await self._docker.containers.container(name).exec(
            cmd=list(run.command),
            stdin=True,
            tty=True,
            environment=dict(run.variables),
            detach_keys=_DETACH_KEYS,
        )
        stream = execution.start()
        terminal = DockerTerminal(name, execution, stream)
        stack.push_async_callback(self._end, name, terminal, mark)
        stack.push_async_callback(stream.close)
        await stream.__aenter__()
        return terminal

    async def _end(self, name: str, terminal: DockerTerminal, mark: str) -> None:
        """Also what the process left running: its jobs in the background carry its mark too."""
        try:
            await self._sweep(name, sweep(mark))
            found = await terminal.inspect()
            if found is not None and found["Running"]:
                await asyncio.to_thread(_kill, int(found.get("Pid") or 0), str(found.get("ContainerID") or ""))
                if await terminal.exit_code() is None:
                    logger.error("a shell's process could not be ended", extra={"container": name})
        except EngineError as error:
            logger.warning("nobody knows whether a shell's process ended", extra={"error": str(error)})

    async def _sweep(self, name: str, command: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                sweeper = await self._docker.containers.container(name).exec(cmd=list(command))
                async with sweeper.start() as stream:
                    while await stream.read_out() is not None:
                        pass
        except _FAILURES as error:
            if not (isinstance(error, DockerError) and error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)):
                raise _broken(name, error) from error


def _kill(pid: int, container_id: str) -> None:
    """Kill a process of this machine, if it is the container's: numbers are given out again."""
    if pid <= 1 or not container_id:
        return
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if container_id in Path(f"/proc/{pid}/cgroup").read_text("utf-8"):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError as error:
        logger.warning("a shell's process could not be killed", extra={"pid": pid, "error": str(error)})
    finally:
        os.close(handle)


def _broken(name: str, error: Exception) -> EngineError:
    said = error.message.strip() if isinstance(error, DockerError) else str(error) or type(error).__name__
    return EngineError(f"the engine failed at the shell in container {name}: {said}")
