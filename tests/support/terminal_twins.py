"""In-memory twin of processes on terminals: a shell that knows a few words. The contract suite runs over it and over
the real engine alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from daemons.agent.domain.shell import MARK, Run
from daemons.kit.engine.errors import EngineError

_PIECE = b"y\r\n" * 1000


@dataclass
class TwinTerminal:
    """One process: `sh`, or `yes`, which writes for ever."""

    run: Run
    size: tuple[int, int]
    code: int | None = None
    taken: int = 0
    over: bool = False
    _typed: bytes = b""
    _written: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    async def read(self) -> bytes:
        if self.run.command[0] == "yes":
            await asyncio.sleep(0)
            self.taken += len(_PIECE)
            return _PIECE
        return await self._written.get()

    async def write(self, data: bytes) -> None:
        self._typed += data
        *lines, self._typed = self._typed.split(b"\n")
        for line in lines:
            self._obey(line.decode())

    async def resize(self, cols: int, rows: int) -> None:
        self.size = (cols, rows)

    async def exit_code(self) -> int | None:
        return self.code

    def end(self, code: int) -> None:
        """The process ends."""
        self.code = code
        self._written.put_nowait(b"")

    def _obey(self, line: str) -> None:
        self._written.put_nowait(f"{line}\r\n".encode())
        match line.split():
            case ["stty", "size"]:
                self._written.put_nowait("{1} {0}\r\n".format(*self.size).encode())
            case ["exit", code]:
                self.end(int(code))
            case _:
                return


@dataclass
class TwinTerminals:
    """Containers that are there, and what was opened in them."""

    there: Callable[[str], bool] = lambda name: True
    opened: list[TwinTerminal] = field(default_factory=list)

    async def tidy(self, name: str, spared: str) -> None:
        for terminal in self.opened:
            terminal.over = terminal.over or not terminal.run.variables[MARK].startswith(spared)

    @asynccontextmanager
    async def open(self, name: str, run: Run, mark: str) -> AsyncIterator[TwinTerminal]:
        if not self.there(name):
            raise EngineError(f"the engine failed at a program in container {name}: no such container")
        terminal = TwinTerminal(run, (run.cols, run.rows))
        self.opened.append(terminal)
        if run.command[0] not in ("sh", "yes"):
            terminal.end(127)
        try:
            yield terminal
        finally:
            terminal.over = True
