"""A process on a terminal in a container, by the engine's exec calls.

Format: Docker Engine API 1.41, ContainerExec and ExecStart (a terminal's stream is raw).
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiodocker.exceptions import DockerError
from aiodocker.execs import Exec
from aiodocker.stream import Stream

from daemons.kit.engine.errors import EngineError

#: How long the engine may take for one call.
CALL_SECONDS: Final = 30.0
#: A process that reads nothing of what is typed fills its terminal; then it is given up.
_TYPE_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 32 * 1024
_SETTLE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.02
#: The engine takes a sequence of keys for itself. Any is wrong; this one nobody types.
DETACH_KEYS: Final = "ctrl-@,ctrl-_,ctrl-@,ctrl-_,ctrl-@"
#: The ways in which calls of the engine fail.
FAILURES: Final = (DockerError, aiohttp.ClientError, OSError, TimeoutError)


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
            except FAILURES as error:
                raise broken(self._name, error) from error
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
            async with asyncio.timeout(CALL_SECONDS):
                await self._resize(cols, rows)
        except FAILURES as error:
            raise broken(self._name, error) from error

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
            async with asyncio.timeout(CALL_SECONDS):
                return await self._exec.inspect()
        except FAILURES as error:
            if isinstance(error, DockerError) and error.status == HTTPStatus.NOT_FOUND:
                return None
            raise broken(self._name, error) from error

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


def broken(name: str, error: Exception) -> EngineError:
    """The failure in the engine's own words."""
    said = error.message.strip() if isinstance(error, DockerError) else str(error) or type(error).__name__
    return EngineError(f"the engine failed at a program in container {name}: {said}")
