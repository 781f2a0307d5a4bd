"""Leads visitors to servers that listen where nobody from outside comes: on another port, or on 127.0.0.1.

The way begins at a port of this machine, never at one in the container: the app may still want that one.
"""

import asyncio
import contextlib
import socket

from daemons.workspace.adapters.inner_networks import PIECE_BYTES, inside, joined
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers


class ContainerWays:
    """The port `Ways` on the machine that the containers run on: at most one way into each container."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._open: dict[str, Forwarder] = {}
        self._turn = asyncio.Lock()

    async def lead(self, user_id: str, to: int) -> int:
        """Raises OSError, EngineError."""
        state = await self._containers.state(container_name(user_id))
        async with self._turn:
            known = self._open.get(user_id)
            if known is not None and (known.pid, known.to) == (state.pid, to):
                return known.port
            if known is not None:
                del self._open[user_id]
                await known.close()
            forwarder = Forwarder(state.pid, to)
            await forwarder.open()
            self._open[user_id] = forwarder
            return forwarder.port

    async def close(self) -> None:
        """All of them."""
        for forwarder in self._open.values():
            await forwarder.close()


class Forwarder:
    """One way into one container, whose first process has the number `pid`."""

    def __init__(self, pid: int, to: int) -> None:
        self.pid = pid
        self.to = to
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises OSError."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", 0, limit=PIECE_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nobody comes in any more; whoever is inside stays."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                made = await inside(self.pid, lambda: socket.create_connection(("127.0.0.1", self.to), 5.0))
            except OSError:
                return
            made.setblocking(False)
            await joined((reader, writer), await asyncio.open_connection(sock=made, limit=PIECE_BYTES))
