"""What containers may reach from their networks, as packet filter rules.

The rules stand where packets come in from a fenced bridge, before any other decision about them (the `mangle` table's
PREROUTING): one place for what goes to the machine itself and for what goes through it, which the engine's own rules
neither precede nor replace. Answers pass; what an operator lists passes; name servers pass; then the machine itself,
every private and link-local range (other containers and nodes, databases, the clouds' metadata address) end here. The
internet remains.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

#: Not of the internet (IANA special-purpose registry): private, shared, link-local, benchmarks, multicast, reserved.
PRIVATE: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)


@dataclass(frozen=True, slots=True)
class Reach:
    """An exception: a network, or one TCP port of it."""

    network: IPv4Network
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Openings:
    """What passes: exceptions, name servers on port 53, and ports (UDP and TCP) of the machine itself."""

    reach: tuple[Reach, ...] = ()
    resolvers: tuple[IPv4Address, ...] = ()
    services: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fence:
    """Where the rules stand: their chain, and the interfaces that lead to it (a trailing `+` stands for any rest).

    `services` are ports (UDP and TCP) of this machine that containers need, such as an engine's own name server.
    """

    chain: str
    interfaces: tuple[str, ...]
    services: tuple[int, ...] = ()


def chain(prefix: str) -> str:
    """The chain that holds the rules of the bridges with this prefix (at most 28 characters)."""
    return f"FUNAI-{prefix.rstrip('-').upper()}"


def jump(interface: str, name: str) -> tuple[str, ...]:
    """The rule that leads packets from the interface, or from those that begin with what stands before `+`, there."""
    return ("PREROUTING", "-i", interface, "-j", name)


def rules_v4(name: str, openings: Openings, denied: Iterable[IPv4Network] = ()) -> str:
    """The chain as `iptables-restore --noflush` takes it: replaced in one step, other chains untouched."""
    lines = [f"-A {name} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"]
    for one in openings.reach:
        port = f" -p tcp --dport {one.port}" if one.port else ""
        lines.append(f"-A {name} -d {one.network}{port} -j RETURN")
    for address in openings.resolvers:
        lines += [f"-A {name} -d {address}/32 -p {kind} --dport 53 -j RETURN" for kind in ("udp", "tcp")]
    for number in openings.services:
        local = f"-A {name} -m addrtype --dst-type LOCAL -p"
        lines += [f"{local} {kind} --dport {number} -j RETURN" for kind in ("udp", "tcp")]
    lines.append(f"-A {name} -m addrtype --dst-type LOCAL -j DROP")
    lines += [f"-A {name} -d {network} -j DROP" for network in (*denied, *PRIVATE)]
    return _table(name, lines)


def rules_v6(name: str) -> str:
    """Containers have no IPv6: whatever comes from their bridges is turned away, link-local addresses included."""
    return _table(name, [f"-A {name} -j DROP"])


def resolvers(text: str) -> tuple[IPv4Address, ...]:
    """The name servers in the text of a resolv.conf that a container may have to ask itself."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and re.fullmatch(r"[0-9.]+", words[1]):
            address = IPv4Address(words[1])
            if not address.is_loopback:
                found.append(address)
    return tuple(dict.fromkeys(found))


def _table(name: str, lines: Sequence[str]) -> str:
    return "\n".join(["*mangle", f":{name} - [0:0]", *lines, "COMMIT", ""])
