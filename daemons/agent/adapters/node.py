"""This node itself: its free ports, its disk, and its own HTTP calls to the apps on it."""

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import aiohttp

from daemons.agent.domain.probing import Answer
from daemons.agent.ports import DiskFigures, EngineError

_PROBE_SECONDS: Final = 5.0


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
    """The file system of the engine's data folder."""

    def __init__(self, root_dir: Callable[[], Awaitable[str]]) -> None:
        self._root_dir = root_dir

    async def measure(self) -> DiskFigures:
        """Raises EngineError."""
        folder = await self._root_dir()
        try:
            found = await asyncio.to_thread(os.statvfs, folder)
        except OSError as error:
            raise EngineError(f"the engine's data folder {folder} cannot be measured: {error.strerror}") from error
        return DiskFigures(
            free_bytes=found.f_bavail * found.f_frsize,
            total_bytes=found.f_blocks * found.f_frsize,
            free_pct=_percent(found.f_bavail, found.f_blocks - found.f_bfree + found.f_bavail),
            inodes_free_pct=_percent(found.f_favail, found.f_files) if found.f_files else None,
            inodes_free=found.f_favail if found.f_files else None,
            inodes_total=found.f_files or None,
        )


def _percent(part: int, whole: int) -> float:
    return round(min(100.0, 100.0 * part / whole), 2) if whole else 0.0


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
