"""What nginx believes of the gateways before it: a visitor's address and scheme, as ngx_http_realip and geo say it."""

from collections.abc import Sequence

from daemons.kit import gateway_values as values


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
