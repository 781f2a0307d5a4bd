"""Leads visitors to servers that listen where nobody from outside comes: on another port, or on 127.0.0.1.

A socket belongs to the network it was made in. So the node makes two kinds in a thread that has stepped into the
container's network, and serves them here: one that accepts where the container's published port leads, and one for each
visitor to the server. No process runs in the container for it.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers

Result = TypeVar("Result")

_CLONE_NEWNET: Final = 0x40000000
_BACKLOG: Final = 256
_PIECE_BYTES: Final = 64 * 1024
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class ContainerWays:
    """The port `Ways` on the machine that the containers run on: at most one way into each container."""

    def __init__(self, containers: Containers, port: int) -> None:
        self._containers = containers
        self._port = port
        self._open: dict[str, Forwarder] = {}
        self._turn = asyncio.Lock()

    async def lead(self, user_id: str, to: int) -> None:
        """Raises OSError, EngineError."""
        state = await self._containers.state(container_name(user_id))
        async with self._turn:
            known = self._open.get(user_id)
            if known is not None and (known.pid, known.to) == (state.pid, to):
                return
            if known is not None:
                await known.close()
            self._open[user_id] = forwarder = Forwarder(state.pid, self._port, to)
            await forwarder.open()

    async def close(self) -> None:
        """All of them."""
        for forwarder in self._open.values():
            await forwarder.close()


class Forwarder:
    """One way into one container, whose first process has the number `pid`."""

    def __init__(self, pid: int, listen: int, to: int) -> None:
        self.pid = pid
        self._listen = listen
        self.to = to
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises OSError."""
        listener = await _inside(self.pid, lambda: _listener(self._listen))
        self._server = await asyncio.start_server(self._lead, sock=listener, limit=_PIECE_BYTES)

    async def close(self) -> None:
        """Whoever is inside leaves."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                made = await _inside(self.pid, lambda: socket.create_connection(("127.0.0.1", self.to), 5.0))
            except OSError:
                return
            made.setblocking(False)
            inner, outer = await asyncio.open_connection(sock=made, limit=_PIECE_BYTES)
            with contextlib.closing(outer):
                await asyncio.gather(_copy(reader, outer), _copy(inner, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_PIECE_BYTES):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except (ConnectionError, OSError):
        sink.close()


async def _inside(pid: int, make: Callable[[], Result]) -> Result:
    """What is made in the network of the process. A thread of its own steps into it and ends there."""
    made: Future[Result] = Future()

    def step_in() -> None:
        try:
            handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _LIBC.setns(handle, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(handle)
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            made.set_exception(error)

    threading.Thread(target=step_in, name="workspace-network", daemon=True).start()
    return await asyncio.wrap_future(made)


def _listener(port: int) -> socket.socket:
    """On the container's own address: its loopback may have the port already."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((_own_address(), port))
        found.listen(_BACKLOG)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found


def _own_address() -> str:
    """The address of the network's first interface that is not its loopback, from its routes."""
    for line in Path("/proc/thread-self/net/route").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Asks the routing table; nothing is sent.
            gateway = socket.inet_ntoa(struct.pack("<I", int(fields[1] if fields[1] != "00000000" else fields[2], 16)))
            with contextlib.suppress(OSError):
                probe.connect((gateway, 9))
                return str(probe.getsockname()[0])
    raise OSError("the container has no network")
