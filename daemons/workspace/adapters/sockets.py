"""Sockets in users' containers, asked of the kernel in their networks.

The question is one for sockets that accept (sock_diag(7), linux/inet_diag.h): the tables in /proc/PID/net are read by
going through every connection that the machine could have, 20 ms for each look.
"""

import asyncio
import errno
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from daemons.kit.engine.errors import EngineError
from daemons.workspace.adapters.groups import Groups, NoGroup, number_inside
from daemons.workspace.adapters.inner_networks import inside
from daemons.workspace.domain.sockets import Listener, listener
from daemons.workspace.domain.workspaces import container_name
from daemons.workspace.ports import Containers

_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_ERROR, _DONE = 2, 3
_REQUEST_AND_DUMP: Final = 0x301
_LISTENING: Final = 1 << 10
_HEAD: Final = struct.Struct("=IHHII")
#: Family, protocol, what else to say, padding, states; then a socket's id, which a dump leaves empty.
_QUESTION: Final = struct.Struct("=BBBxI48x")
#: Family, state, timer, retransmits, source port, destination port, source address, the rest, inode.
_ANSWER: Final = struct.Struct("=BBBB2s2s16s16s12s16xI")
_BYTES: Final = 256 * 1024
_SECONDS: Final = 5.0


class ContainerSockets:
    """The port `Listeners` on the machine that the containers run on."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def listening(self, user_id: str) -> tuple[Listener, ...]:
        """Raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        if not state.pid:
            return ()
        try:
            return await inside(state.pid, _listening)
        except (FileNotFoundError, ProcessLookupError):
            # The container ended meanwhile.
            return ()
        except OSError as error:
            raise EngineError(f"the kernel does not say where the workspace's servers listen: {error}") from error

    async def holder(self, user_id: str, listener: Listener) -> int | None:
        """Raises EngineError."""
        state = await self._containers.state(container_name(user_id))
        return await asyncio.to_thread(_holder, state.pid, listener.inode) if state.pid else None


def _listening() -> tuple[Listener, ...]:
    """Those of this thread's network."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _SOCK_DIAG) as asked:
        asked.settimeout(_SECONDS)
        return (*_of_family(asked, socket.AF_INET), *_of_family(asked, socket.AF_INET6))


def _of_family(asked: socket.socket, family: int) -> list[Listener]:
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _LISTENING)
    asked.send(_HEAD.pack(_HEAD.size + len(question), _BY_FAMILY, _REQUEST_AND_DUMP, family, 0) + question)
    found: list[Listener] = []
    while True:
        data = asked.recv(_BYTES)
        at = 0
        while at + _HEAD.size <= len(data):
            size, kind, _, _, _ = _HEAD.unpack_from(data, at)
            if kind == _DONE:
                return found
            if kind == _ERROR:
                (number,) = struct.unpack_from("=i", data, at + _HEAD.size)
                raise OSError(errno.EOPNOTSUPP, os.strerror(-number))
            found += _read(data, at + _HEAD.size)
            at += (size + 3) & ~3


def _read(data: bytes, at: int) -> list[Listener]:
    family, _, _, _, port, _, address, _, _, inode = _ANSWER.unpack_from(data, at)
    one = listener(address[: 4 if family == socket.AF_INET else 16], int.from_bytes(port, "big"), inode)
    return [one] if one is not None else []


def _holder(first: int, inode: int) -> int | None:
    """Whoever of the container has the socket open. Nothing of it is opened, its links are only read."""
    try:
        everyone = Groups(first).everyone()
    except NoGroup:
        return None
    for pid in everyone:
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as handles:
            if any(_is_socket(handle.path, inode) for handle in handles):
                return number_inside(pid)
    return None


def _is_socket(path: str, inode: int) -> bool:
    with suppress(OSError):
        return str(Path(path).readlink()) == f"socket:[{inode}]"
    return False
