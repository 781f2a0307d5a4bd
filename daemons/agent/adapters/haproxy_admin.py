"""HAProxy's admin sockets: commands to every process that serves.

The master's socket knows the serving process and, after a reload, former ones that still serve (management guide 2.6,
section 9.4: `show proc`, and the prefix `@!PID`). While it reloads it answers no one, or refuses for a moment, so
whoever gets its list after writing a file knows that each process has read the file or is in the list. Without a
master there is one process, behind its own socket.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.agent.ports import GatewayDown, GatewayError

_ANSWER_SECONDS: Final = 3.0
#: How long a master may refuse before it counts as gone, and the pause between two tries.
_RELOAD_SECONDS: Final = 2.0
_REFUSED_SECONDS: Final = 0.02
#: A line of commands must fit HAProxy's buffer of 16 KiB.
_LONGEST_LINE: Final = 12_000
_WORKER: Final = re.compile(r"^([0-9]+)\s+worker\s", re.MULTILINE)
_GONE: Final = "Can't find the target"
#: A process that ends or begins is in the master's list and cannot be reached yet, or any more.
_UNREACHED: Final = "Can't connect to the target"


@dataclass(frozen=True, slots=True)
class Process:
    """One process that serves; `prefix` addresses it through the master."""

    path: Path
    prefix: str = ""

    async def ask(self, *commands: str) -> str:
        """The answers, one after the other; empty when the process has ended meanwhile. Raises GatewayError."""
        answers = []
        for line in _lines([f"{self.prefix}{command}" for command in commands]):
            answer = await self._reach(line)
            if self.prefix and _GONE in answer:
                return ""
            answers.append(answer)
        return "".join(answers)

    async def _reach(self, line: str) -> str:
        """Asked again while the master cannot pass it on. Raises GatewayError."""
        clock = asyncio.get_running_loop().time
        until = clock() + _RELOAD_SECONDS
        while True:
            answer = await _exchange(self.path, line)
            if not self.prefix or _UNREACHED not in answer:
                return answer
            if clock() > until:
                raise GatewayError(f"the gateway's process {self.prefix.strip()} does not answer its master")
            await asyncio.sleep(_REFUSED_SECONDS)


class Admin:
    """Every process of one gateway."""

    def __init__(self, socket_path: Path) -> None:
        self._own = Process(socket_path)
        self._master = socket_path.with_name("master.sock")

    async def processes(self) -> Sequence[Process]:
        """Those that serve, the newest first. Raises GatewayError."""
        if not await asyncio.to_thread(self._master.exists):
            return [self._own]
        answer = await self._ask_master("show proc")
        found = [Process(self._master, f"@!{process} ") for process in _WORKER.findall(answer)]
        if not found:
            raise GatewayDown(f"no process serves behind {self._master}: is HAProxy starting?")
        return found

    async def _ask_master(self, line: str) -> str:
        """Asked again while it refuses, which may be a reload. Raises GatewayError."""
        clock = asyncio.get_running_loop().time
        until = clock() + _RELOAD_SECONDS
        while True:
            try:
                return await _exchange(self._master, line)
            except GatewayDown:
                if clock() > until:
                    raise
            await asyncio.sleep(_REFUSED_SECONDS)


def _lines(commands: Sequence[str]) -> Iterator[str]:
    line = ""
    for command in commands:
        if line and len(line) + len(command) > _LONGEST_LINE:
            yield line
            line = ""
        line = f"{line};{command}" if line else command
    if line:
        yield line


async def _exchange(path: Path, line: str) -> str:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(f"{line}\n".encode("ascii"))
                # Without it the master waits for more commands.
                writer.write_eof()
                return (await reader.read()).decode("utf-8", "replace")
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError) as error:
        raise GatewayDown(f"no gateway listens on {path}: is HAProxy running?") from error
    except TimeoutError as error:
        raise GatewayError(f"the gateway did not answer on {path} within {_ANSWER_SECONDS:g} s") from error
    except OSError as error:
        raise GatewayError(f"the gateway's socket {path} cannot be used: {error}") from error
