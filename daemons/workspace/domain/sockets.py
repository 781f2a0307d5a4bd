"""Sockets that accept connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

#: States of a connection in the kernel's tables: open, and waiting to be let in.
_OPEN: Final = ("01", "0A")
#: Where Docker's name server listens in networks that know names (libnetwork, resolver_unix.go).
_NAME_SERVER: Final = IPv4Address("127.0.0.11")


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A port, whether it is reached from inside the container only, and the socket's number."""

    port: int
    loopback: bool
    inode: int = 0


def listener(address: bytes, port: int, inode: int) -> Listener | None:
    """The one at the address of four or sixteen bytes, unless it is the engine's own."""
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    found = mapped or found
    return None if found == _NAME_SERVER else Listener(port, found.is_loopback, inode)


def unread(table: str) -> int:
    """What waits in the connections of such a text for a program to read it: bytes of open connections, and visitors
    whom nobody has let in yet."""
    lines = (line.split() for line in table.splitlines()[1:])
    return sum(int(fields[4].partition(":")[2], 16) for fields in lines if len(fields) > 9 and fields[3] in _OPEN)


def segments(table: str) -> int:
    """How many TCP segments reached a network, of the text of its /proc/PID/net/snmp. Raises ValueError, KeyError."""
    names, figures = (line.split() for line in table.splitlines() if line.startswith("Tcp: "))
    return int(dict(zip(names, figures, strict=True))["InSegs"])


def way_in(found: Sequence[Listener], port: int) -> Listener | None:
    """Which of them a visitor is led to: the agreed port before any other, one that is open before one that is not.

    Tools of development servers speak to each other on high ports of the loopback.
    """
    usable = [one for one in found if one.port == port or not one.loopback or one.port < 32768]
    return min(usable, key=lambda one: (one.port != port, one.loopback, one.port), default=None)
