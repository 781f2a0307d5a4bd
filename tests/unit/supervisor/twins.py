"""In-memory twins of the supervisor's ports."""

import asyncio
from collections import deque
from collections.abc import Callable

from daemons.supervisor.ports import Child


def child(name: str) -> Child:
    return Child(name, (f"/bin/{name}",), {}, f"tcp://127.0.0.1/{name}")


class MemoryProcess:
    """Runs until it is told to end, or until the test ends it."""

    def __init__(self, name: str, log: list[str], *, stubborn: bool = False) -> None:
        self.pid = 4242
        self.name = name
        self._log = log
        self._stubborn = stubborn
        self._ended = asyncio.Event()
        self._code = 0

    def end(self, code: int) -> None:
        self._code = code
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        return self._code

    def terminate(self) -> None:
        self._log.append(f"terminate {self.name}")
        if not self._stubborn:
            self.end(0)

    def kill(self) -> None:
        if not self._ended.is_set():
            self._log.append(f"kill {self.name}")
            self.end(-9)


class MemoryProcesses:
    """Starts children whose exit codes are scripted; without a script they run on."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.log: list[str] = []
        self.running: dict[str, MemoryProcess] = {}
        self.scripts: dict[str, deque[int | OSError]] = {}
        self._stubborn = stubborn

    async def start(self, child: Child) -> MemoryProcess:
        self.log.append(f"start {child.name}")
        script = self.scripts.get(child.name)
        outcome = script.popleft() if script else None
        if isinstance(outcome, OSError):
            raise outcome
        process = MemoryProcess(child.name, self.log, stubborn=self._stubborn)
        self.running[child.name] = process
        if outcome is not None:
            process.end(outcome)
        return process


class MemoryTicker:
    """Time that passes only when somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def seconds(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class MemoryProbe:
    """Answers what a function of the address says."""

    def __init__(self, problem: Callable[[str], str | None] = lambda _: None) -> None:
        self._problem = problem

    async def problem(self, address: str) -> str | None:
        return self._problem(address)
