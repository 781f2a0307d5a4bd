"""Which port belongs to whom."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
_HIGHEST_BASE: Final = 65_529
_NEXT_FREE: Final = "free it, or move every port with --port-base N"


class InvalidPortBase(Exception):
    """The ports would not fit; the message says which numbers do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The documented ports; 8088 for the gateway, because 80 needs privileges."""

    gateway: int = 8088
    api: int = 8080
    deploy: int = 7002
    agent: int = 7005
    git: int = 2222
    runner: int = 7003
    workspace: int = 7001

    @classmethod
    def starting_at(cls, base: int) -> "Ports":
        """Seven ports in a row. Raises InvalidPortBase when they are not all unprivileged ports."""
        if not 1024 <= base <= _HIGHEST_BASE:
            raise InvalidPortBase(f"--port-base {base} does not work: it must be from 1024 to {_HIGHEST_BASE}")
        return cls(*range(base, base + 7))

    def by_role(self) -> dict[str, int]:
        """Port by the role that listens on it."""
        return {
            "gateway": self.gateway,
            "api": self.api,
            "deploy": self.deploy,
            "agent": self.agent,
            "git": self.git,
            "runner": self.runner,
            "workspace": self.workspace,
        }

    def url(self, role: str) -> str:
        """Where the role is reached from this machine."""
        scheme = "ssh://git@" if role == "git" else "http://"
        return f"{scheme}{HOST}:{self.by_role()[role]}"


def addresses_beside_others(routes: str, choice: int) -> str | None:
    """A /24 of container addresses for an engine that shares the bridge `docker0`; None while nobody has made it.

    Every engine numbers its containers from the same first address: two on one bridge would give the same address
    twice, and visitors would reach the other's app. `routes` is the text of /proc/net/route, whose addresses are
    little-endian hexadecimal; `choice` is any number that stays the same for one engine.
    """
    for line in routes.splitlines():
        columns = line.split()
        if columns[:1] == ["docker0"] and len(columns) >= 8 and columns[7] == "0000FFFF":
            network = ipaddress.ip_address(int.from_bytes(bytes.fromhex(columns[1]), "little"))
            return f"{network + 256 * (16 + choice % 224)}/24"
    return None


def taken_message(roles: Iterable[str], ports: Ports) -> str:
    """The sentence that names every port somebody else listens on, and whom it was meant for."""
    numbers = ports.by_role()
    named = ", ".join(f"{HOST}:{numbers[role]} (for {role})" for role in roles)
    return f"already in use by another program: {named}; {_NEXT_FREE}"
