"""Where a gateway before several nodes finds the gateway of one of them."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from daemons.deploy.domain.nodes import ServingNode


class NotReachable(Exception):
    """The node does not say where its gateway is, or says it of one that speaks only TLS."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"node {node} has no gateway that others could ask: its gatewayBaseUrl must be http://host:port, or "
            "DEPLOY_RUNTIME_GATEWAY_PORT the port of the gateways on the hosts of the agents"
        )


@dataclass(frozen=True, slots=True)
class Upstreams:
    """With a `port` gateways are on the agents' hosts there, and their own addresses are for visitors alone; with 0
    they are where they say."""

    port: int = 0

    def of(self, node: ServingNode) -> str:
        """`host:port`, an IPv6 address in brackets. Raises NotReachable."""
        address = urlsplit((node.agent_base_url if self.port else node.gateway_base_url) or "")
        if not address.hostname or (not self.port and address.scheme != "http"):
            raise NotReachable(node.name)
        host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
        return f"{host}:{self.port or address.port or 80}"
