"""Where runtime agents may be: the token of all agents is sent to no other address.

Whoever holds the nodes' own token may register a node at any address it names, and the control plane and runners would
send the agents' token there. So an address must be in a listed network, or a name that nobody outside can have: one
without a dot, one in a domain for private use (RFC 6761, RFC 6762, RFC 8375; `internal` is ICANN's), or a listed one.
Nothing is looked up: what a name leads to is up to the resolver of the machine, which is ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
#: Loopback, private use (RFC 1918, RFC 4193), shared carrier addresses (RFC 6598) and link-local.
PRIVATE: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
_PRIVATE_NAMES: Final = ("localhost", "internal", "local", "home.arpa")
#: A last label that begins with a digit would be read as a number by `inet_aton`, as in 0x7f000001 or 3405803783.
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class AgentAddressRefused(Exception):
    """No agent may be at that address."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"agentBaseUrl: {host} is not where runtime agents may be, and their token would be sent there; operators: "
            "list it in DEPLOY_AGENT_ADDRESSES (networks) or DEPLOY_AGENT_NAMES"
        )
        self.data = {"fields": ["agentBaseUrl"]}


@dataclass(frozen=True, slots=True)
class AgentAddresses:
    """The networks of agents and, in lower case, names besides the private ones: whole, or `*.` and a domain."""

    networks: Sequence[Network] = PRIVATE
    names: Sequence[str] = ()

    def check(self, url: str) -> None:
        """Raises AgentAddressRefused."""
        host = (urlsplit(url).hostname or "").lower().removesuffix(".")
        if not self._admits(host):
            raise AgentAddressRefused(host[:253])

    def _admits(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return self._admits_name(host)
        return any(_plain(address) in network for network in self.networks)

    def _admits_name(self, name: str) -> bool:
        if not _NAME.fullmatch(name):
            return False
        if "." not in name or any(name.endswith(f".{domain}") for domain in _PRIVATE_NAMES):
            return True
        return any(name == listed or (listed[:2] == "*." and name.endswith(listed[1:])) for listed in self.names)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that is written as an IPv6 one is the IPv4 one."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
