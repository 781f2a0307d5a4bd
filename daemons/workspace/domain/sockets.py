"""Sockets that accept connections, as the kernel lists those of one network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LISTENING: Final = "0A"
_LOOPBACK: Final = ("0100007F", "00000000000000000000000001000000")


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A port, whether it is reached from inside the container only, and the socket's number."""

    port: int
    loopback: bool
    inode: int = 0


def listeners(table: str) -> tuple[Listener, ...]:
    """Those in the text of /proc/PID/net/tcp or tcp6 (Linux, Documentation/networking/proc_net_tcp.rst)."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING:
            address, _, port = fields[1].partition(":")
            found.append(Listener(int(port, 16), address in _LOOPBACK, int(fields[9])))
    return tuple(found)


def way_in(found: Sequence[Listener], port: int) -> Listener | None:
    """Which of them a visitor is led to: the agreed port before any other, one that is open before one that is not.

    The container's own name server listens on high ports of its loopback.
    """
    usable = [one for one in found if one.port == port or not one.loopback or one.port < 32768]
    return min(usable, key=lambda one: (one.port != port, one.loopback, one.port), default=None)
