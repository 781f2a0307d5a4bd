"""What containers used, from their control groups and networks on this machine: no call of the engine measures it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from daemons.workspace.domain.idle import Sample
from daemons.workspace.domain.sockets import segments, unread
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers

_ROOT: Final = Path("/sys/fs/cgroup")


class LocalMeters:
    """The port `Meters`."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._processes: dict[str, int] = {}

    async def sample(self, user_id: str, now_ms: int) -> Sample | None:
        """Raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        return await asyncio.to_thread(_sample, state.pid, now_ms) if state.pid else None

    async def arrived(self, user_id: str) -> int:
        """Raises EngineError. Asked every few seconds for each container that sleeps: the engine is asked once."""
        known = self._processes.get(user_id)
        found = await asyncio.to_thread(_arrived, known) if known else None
        if found is None:
            pid = self._processes[user_id] = (await self._containers.state(container_name(user_id))).pid
            found = await asyncio.to_thread(_arrived, pid)
        return found or 0

    async def unread(self, user_id: str) -> int:
        """Raises EngineError. Takes 20 ms: the kernel goes through every connection that the machine could have."""
        pid = (await self._containers.state(container_name(user_id))).pid
        return await asyncio.to_thread(_unread, pid) if pid else 0


def _arrived(pid: int) -> int | None:
    """None when the process is gone. Of another one that has its number by now it is some other figure, and whoever
    sees one asks for what is unread."""
    try:
        return segments(Path(f"/proc/{pid}/net/snmp").read_text(encoding="ascii"))
    except (OSError, ValueError, KeyError):
        return None


def _unread(pid: int) -> int:
    found = 0
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError, ValueError):
            found += unread(Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii"))
    return found


def _sample(pid: int, now_ms: int) -> Sample | None:
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        received = _received(Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii"))
        return Sample(now_ms, _cpu(groups), received, _memory(groups))
    except (OSError, ValueError, IndexError):
        return None


def _cpu(groups: str) -> int:
    """Nanoseconds, in either layout of Linux's control groups."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            return int((_ROOT / "cpuacct" / path.lstrip("/") / "cpuacct.usage").read_text())
        if not controllers and (_ROOT / "cgroup.controllers").exists():
            stat = (_ROOT / path.lstrip("/") / "cpu.stat").read_text()
            return int(dict(line.split() for line in stat.splitlines())["usage_usec"]) * 1000
    return 0


def _memory(groups: str) -> int | None:
    """Bytes that its processes hold: what the kernel keeps of files and would give up first is not counted."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            group, used, kept = _ROOT / "memory" / path.lstrip("/"), "memory.usage_in_bytes", "total_inactive_file"
        elif not controllers and (_ROOT / "cgroup.controllers").exists():
            group, used, kept = _ROOT / path.lstrip("/"), "memory.current", "inactive_file"
        else:
            continue
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, int((group / used).read_text()) - int(stat.get(kept, 0)))
    return None


def _received(table: str) -> int:
    """Bytes over all interfaces but the loopback."""
    lines = (line.partition(":") for line in table.splitlines()[2:])
    return sum(int(figures.split()[0]) for name, _, figures in lines if name.strip() != "lo")
