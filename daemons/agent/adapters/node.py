"""This node itself: its free ports, its disk, and its own HTTP calls to the apps on it."""

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import aiohttp

from daemons.agent.domain.disk import DiskFigures
from daemons.agent.domain.probing import Answer
from daemons.kit.engine.errors import EngineError

_PROBE_SECONDS: Final = 5.0
_ROOT_SECONDS: Final = 60.0


class LocalPorts:
    """Ports of 127.0.0.1 in a range (both ends included)."""

    def __init__(self, first: int, last: int) -> None:
        self._first = first
        self._count = last - first + 1

    def free(self, taken: Collection[int]) -> int:
        """Searched from a random place on, so that a port just given up is not the next one handed out."""
        offset = random.randrange(self._count)  # noqa: S311
        for step in range(self._count):
            port = self._first + (offset + step) % self._count
            if port not in taken and _bindable(port):
                return port
        raise EngineError("every port of RUNTIME_APP_PORTS is in use; widen the range")


class HttpProbe:
    """GETs on 127.0.0.1; never follows a redirect, never reads more than headers."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, port: int, path: str) -> Answer:
        """The status, or what went wrong."""
        timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        headers = {"User-Agent": "funai-agent", "Connection": "close"}
        url = f"http://127.0.0.1:{port}{path}"
        try:
            async with self._session.get(url, timeout=timeout, headers=headers, allow_redirects=False) as response:
                return Answer(status=response.status)
        except TimeoutError:
            return Answer(problem=f"no answer within {_PROBE_SECONDS:g} s")
        except aiohttp.ClientConnectionError:
            # The engine's port forwarder accepts on behalf of a container where nothing listens, then hangs up.
            return Answer(problem="the connection was closed without an answer", silent=True)
        except (aiohttp.ClientError, ValueError) as error:
            return Answer(problem=f"not an HTTP answer ({type(error).__name__})")


class EngineDisk:
    """The file system of the engine's data folder. Where that is, the engine is asked once a minute: it is looked at
    many times a second."""

    def __init__(self, root_dir: Callable[[], Awaitable[str]]) -> None:
        self._root_dir = root_dir
        self._folder = ""
        self._asked = 0.0

    async def measure(self) -> DiskFigures:
        """Raises EngineError."""
        if not self._folder or time.monotonic() - self._asked > _ROOT_SECONDS:
            self._folder = await self._root()
            self._asked = time.monotonic()
        try:
            found = await asyncio.to_thread(os.statvfs, self._folder)
        except OSError as error:
            folder, self._folder = self._folder, ""
            raise EngineError(f"the engine's data folder {folder} cannot be measured: {error.strerror}") from error
        return DiskFigures(
            free_bytes=found.f_bavail * found.f_frsize,
            total_bytes=found.f_blocks * found.f_frsize,
            usable_bytes=(found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize,
            inodes_free=found.f_favail if found.f_files else None,
            inodes_total=found.f_files or None,
        )

    async def _root(self) -> str:
        try:
            return await self._root_dir()
        except EngineError:
            # The disk fills also while the engine is away.
            if not self._folder:
                raise
            return self._folder


class Machine:
    """This machine's own figures."""

    def load1(self) -> float | None:
        """Processes that ran or waited to run, over the last minute."""
        try:
            return round(os.getloadavg()[0], 2)
        except OSError:
            return None

    def cpus(self) -> int | None:
        """Processors that this agent may use."""
        return len(os.sched_getaffinity(0))


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
