"""What must end when an attempt's lease is lost, so that it can be ended from any thread, also while the loop of the
work stands still: process groups and connections of builds.

A program that leaves its process group takes its environment with it: the attempt's mark in there finds it.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_MARK: Final = "FUNAI_ATTEMPT"
_PROC: Final = Path("/proc")


class Leash:
    """The loose ends of one attempt."""

    def __init__(self, name: str) -> None:
        self.mark = f"{name}-{secrets.token_hex(8)}"
        self._ends: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._cut = False

    def cut(self) -> None:
        """End everything now, and from now on everything that is added. For any thread."""
        with self._lock:
            self._cut = True
            ends = tuple(self._ends.values())
        for end in ends:
            end()
        sweep(self.mark)

    def add(self, end: Callable[[], None]) -> int:
        """A further end; the number is for `remove`."""
        with self._lock:
            self._number += 1
            self._ends[self._number] = end
            cut, number = self._cut, self._number
        if cut:
            end()
        return number

    def remove(self, number: int) -> None:
        """It ended by itself."""
        with self._lock:
            self._ends.pop(number, None)


_HELD: ContextVar[Leash | None] = ContextVar("leash", default=None)


class Leashes:
    """The port of the same name."""

    @contextlib.asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Leash]:
        """What is started within the block, in this task or in one that it starts, is on the leash."""
        leash = Leash(name)
        token = _HELD.set(leash)
        try:
            yield leash
        finally:
            _HELD.reset(token)
            await asyncio.shield(asyncio.to_thread(sweep, leash.mark))


@contextlib.contextmanager
def leashed(end: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `end` is called when the attempt's lease is lost; from another thread, perhaps."""
    leash = _HELD.get()
    if leash is None:
        yield
        return
    number = leash.add(end)
    try:
        yield
    finally:
        leash.remove(number)


@contextlib.contextmanager
def off_the_leash() -> Iterator[None]:
    """For what is tidied up behind an attempt: it must not end with it."""
    token = _HELD.set(None)
    try:
        yield
    finally:
        _HELD.reset(token)


def marked(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program of the present attempt."""
    leash = _HELD.get()
    return dict(environment) if leash is None else {**environment, _MARK: leash.mark}


def sweep(mark: str) -> int:
    """Kill every process whose environment has the mark; how many there were."""
    wanted = f"{_MARK}={mark}".encode()
    found = 0
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and wanted in _environment(folder).split(b"\0"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(folder.name), signal.SIGKILL)
                found += 1
    if found:
        logger.info("processes were killed with their attempt", extra={"processes": found, "mark": mark})
    return found


def _environment(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:
        return b""
