"""What nginx believes of the gateways before it: a visitor's address and scheme, as ngx_http_realip and geo say it; and
what it believes of nobody.
"""

from collections.abc import Sequence
from typing import Final

from daemons.kit import gateway_values as values

#: What visitors may not say: what other gateways, nodes and daemons say to each other.
STRIPPED: Final = (
    "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Uri",
    "X-Forwarded-Method", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Runtime-Upstream", "X-Runtime-Node",
    "X-Runtime-Token", "X-Runner-Token", "X-RT-Node-Token", "X-Lease-Token", "X-DEPLOY-SECRET", "X-WS-Token",
    "X-WS-Node-Token", "X-WS-Node", "X-WS-NodeId", "X-WS-Port", "X-WS-Prefix", "X-WS-App", "X-WS-Why", "X-WS-Pass",
    "X-WS-Cookie", "X-WS-Visibility", "X-WS-Fence", "X-WS-Proxied", "X-WS-Upstream", "X-WS-Timestamp", "X-WS-Nonce",
    "X-WS-Signature", "X-WS-HostPort",
)  # fmt: skip


def believed(networks: Sequence[str]) -> str:
    """For `server`: these say who the visitor is, in `X-Forwarded-For`. Raises Misconfigured."""
    listed = "".join(f"    set_real_ip_from {values.network(each)};\n" for each in networks)
    return f"{listed}    real_ip_header X-Forwarded-For;\n" if listed else ""


def scheme(networks: Sequence[str], prefix: str) -> str:
    """For `http`: `$PREFIX_scheme` is the visitor's scheme, said by these or seen. Raises Misconfigured."""
    known = "".join(f"    {values.network(each)} 1;\n" for each in networks)
    return (
        f"geo $realip_remote_addr ${prefix}_entrance {{\n    default 0;\n{known}}}\n"
        f'map "${prefix}_entrance:$http_x_forwarded_proto" ${prefix}_scheme {{\n'
        "    default $scheme;\n    1:https https;\n}\n"
    )
