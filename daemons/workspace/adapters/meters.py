"""What containers used, from their control groups and networks on this machine: no call of the engine measures it."""

import asyncio
from pathlib import Path
from typing import Final

from daemons.workspace.domain.idle import Sample
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers

_ROOT: Final = Path("/sys/fs/cgroup")


class LocalMeters:
    """The port `Meters`."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def sample(self, user_id: str, now_ms: int) -> Sample | None:
        """Raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        return await asyncio.to_thread(_sample, state.pid, now_ms) if state.pid else None


def _sample(pid: int, now_ms: int) -> Sample | None:
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        return Sample(now_ms, _cpu(groups), _received(Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii")))
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


def _received(table: str) -> int:
    """Bytes over all interfaces but the loopback."""
    lines = (line.partition(":") for line in table.splitlines()[2:])
    return sum(int(figures.split()[0]) for name, _, figures in lines if name.strip() != "lo")
