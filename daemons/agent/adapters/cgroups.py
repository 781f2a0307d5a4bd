"""Reads what containers use from the kernel. The engine is asked once per container, for its process.

The process is checked on each reading: one that is no longer in the container's group is asked for anew, so that a
number that the kernel gave to somebody else is never read for the app.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.adapters.docker_logs import itself
from daemons.agent.domain.usage import Places, Sample, places, sample
from daemons.kit.engine.errors import EngineError

_GROUPS: Final = Path("/sys/fs/cgroup")
_FILES: Final = {
    1: {
        "cpu": ("cpuacct.usage",),
        "memory": ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.stat"),
        "pids": ("pids.current",),
    },
    2: {"cpu": ("cpu.stat",), "memory": ("memory.current", "memory.max", "memory.stat"), "pids": ("pids.current",)},
}
_LOOK_SECONDS: Final = 10.0
_KEPT: Final = 2000
_DISK_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Known:
    id: str
    pid: int
    disk_bytes: int | None = None
    disk_at: float = -_DISK_SECONDS


class Cgroups:
    """The port `Usages` on the machine of the engine."""

    def __init__(self, docker: Docker, locate: Callable[[str], Awaitable[str]] = itself) -> None:
        """`locate` tells the engine's name of an instance's container."""
        self._docker = docker
        self._locate = locate
        self._known: dict[str, _Known] = {}

    async def usage(self, name: str) -> Sample | None:
        """None for a container that does not run or whose process is on another machine. Raises EngineError."""
        known = self._known.get(name)
        found = await asyncio.to_thread(_read, known) if known is not None else None
        if found is None:
            known = await self._look(name)
            found = await asyncio.to_thread(_read, known) if known is not None else None
        return found

    async def disk_bytes(self, name: str) -> int | None:
        """What the container wrote over its image, added up by the engine at most once a minute. Raises EngineError."""
        known = self._known.get(name) or await self._look(name)
        if known is None:
            return None
        now = time.monotonic()
        if now - known.disk_at >= _DISK_SECONDS:
            known.disk_at = now
            document = await self._inspect(name, size=True)
            written = document.get("SizeRw") if document is not None else None
            known.disk_bytes = written if isinstance(written, int) else None
        return known.disk_bytes

    async def _look(self, name: str) -> _Known | None:
        self._known.pop(name, None)
        document = await self._inspect(name, size=False)
        if document is None:
            return None
        known = _Known(str(document["Id"]), int(document["State"].get("Pid") or 0))
        while len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[name] = known
        return known

    async def _inspect(self, name: str, *, size: bool) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                container = self._docker.containers.container(await self._locate(name))
                return await container.show(size=int(size))
        except DockerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise EngineError(f"the engine could not look at container {name}: {error.message}") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise EngineError(f"the engine could not look at container {name}: {type(error).__name__}") from error


def _read(known: _Known) -> Sample | None:
    """The counters now; None when the process is not, or no longer, of the container."""
    process = Path(f"/proc/{known.pid}")
    try:
        text = (process / "cgroup").read_text("utf-8")
    except OSError:
        return None
    found = places(text)
    if known.pid <= 0 or known.id not in text or found is None:
        return None
    return sample(time.monotonic(), found.version, _files(found), _text(process / "net/dev"))


def _files(found: Places) -> dict[str, str]:
    roots = {"cpu": found.cpu, "memory": found.memory, "pids": found.pids}
    return {
        name: _text(_GROUPS / roots[kind] / name) for kind, names in _FILES[found.version].items() for name in names
    }


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
