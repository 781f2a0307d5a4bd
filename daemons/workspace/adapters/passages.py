"""Leads git in users' containers to the git server, wherever the node reaches it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from daemons.kit.engine.errors import EngineError
from daemons.workspace.adapters.inner_networks import BACKLOG, PIECE_BYTES, inside, joined
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers

#: One git makes one connection; whatever else the user runs may come along, but cannot use up the node.
_MOST_AT_ONCE: Final = 4
_CONNECT_SECONDS: Final = 10.0


class ContainerPassages:
    """The port `Passages` on the machine that the containers run on: nothing has to pass the fence."""

    def __init__(self, containers: Containers, host: str, port: int) -> None:
        self._containers = containers
        self._host = host
        self._port = port

    @asynccontextmanager
    async def opened(self, user_id: str) -> AsyncIterator[int]:
        """Entering it raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        try:
            listener = await inside(state.pid, _listener)
        except OSError as error:
            problem = f"no way to the git server out of user {user_id}'s container: {error.strerror or error}"
            raise EngineError(problem) from error
        visits = _Visits(self._host, self._port)
        server = await asyncio.start_server(visits.serve, sock=listener, limit=PIECE_BYTES)
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.close()
            visits.end()


class _Visits:
    """Who is on the way through one passage."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            if len(self._open) >= _MOST_AT_ONCE:
                return
            self._open.add(writer)
            try:
                connecting = asyncio.open_connection(self._host, self._port, limit=PIECE_BYTES)
                await joined((reader, writer), await asyncio.wait_for(connecting, _CONNECT_SECONDS))
            except (OSError, TimeoutError):
                return
            finally:
                self._open.discard(writer)

    def end(self) -> None:
        """Whoever is inside leaves."""
        for writer in self._open:
            writer.transport.abort()


def _listener() -> socket.socket:
    """On the container's loopback: nothing outside of it gets there."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.bind(("127.0.0.1", 0))
        found.listen(BACKLOG)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found
