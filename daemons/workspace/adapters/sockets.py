"""Sockets in users' containers, read from their networks by way of their first processes."""

import asyncio
from pathlib import Path

from daemons.workspace.domain.sockets import Listener, listeners
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers


class ContainerSockets:
    """The port `Listeners` on the machine that the containers run on."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def listening(self, user_id: str) -> tuple[Listener, ...]:
        """Raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        return await asyncio.to_thread(_read, state.pid) if state.pid else ()


def _read(pid: int) -> tuple[Listener, ...]:
    found: tuple[Listener, ...] = ()
    for table in ("tcp", "tcp6"):
        try:
            found += listeners(Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii"))
        except OSError:
            continue
    return found
