"""The gateway of a workspace node, where nginx is it: one configuration file, rendered once.

It says what HAProxy's (haproxy_previews.cfg) says, in nginx's words. Format: nginx 1.22, modules ngx_http_proxy,
ngx_http_map, ngx_http_rewrite, ngx_http_auth_request and ngx_http_realip.
"""

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit import gateway_values as values
from daemons.kit import nginx_entrances
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.gateway_pages import page
from daemons.kit.nginx_pages import locations

_TEXT: Final = files("daemons.kit").joinpath("nginx_workspace.conf").read_text(encoding="utf-8")
_PAGES: Final = ("asleep", "interrupted", "private", "unserved")


@dataclass(frozen=True, slots=True)
class NginxGateway:
    """What it needs to know. `node` and `node_port` are the address of the node's API, `token` the proof that the node
    wants from gateways; `cache_path` is a folder of nginx's own for what the node answered. `hold_seconds` is how long
    a visitor waits for a workspace that wakes up, `tunnel_seconds` the longest silence of a server."""

    host: str
    port: int
    node: str
    node_port: int
    cache_path: Path
    token: str = field(repr=False)
    hold_seconds: int = 30
    tunnel_seconds: int = 3600
    upload_megabytes: int = 200
    own: OwnHosts | None = None
    #: Addresses and networks of gateways before this one: what they say of a visitor's address and scheme is believed.
    entrances: tuple[str, ...] = ()


def render(gateway: NginxGateway) -> str:
    """The configuration's text. It holds the token: nobody but nginx's master may read it. Raises Misconfigured for a
    value that nginx would misread."""
    main, *named = re.split(r"^# --- (\w+)\n", _TEXT, flags=re.MULTILINE)
    parts = dict(zip(named[::2], named[1::2], strict=True))
    # Both kinds of host answer in the same places.
    whole = main + (parts["own"] if gateway.own else "")
    text = whole.replace("$shared", parts["shared"]).replace("$moved", parts["moved"] if gateway.own else "")
    own = gateway.own or OwnHosts("", "")
    return Template(text).substitute(
        # Elsewhere it is what a server's name says.
        no_own="" if gateway.own else 'map "" $ws_own {\n    default "";\n}\n',
        believed=nginx_entrances.believed(gateway.entrances),
        entrances=nginx_entrances.scheme(gateway.entrances, "ws"),
        own_scheme=own.scheme,
        own_authority=own.authority,
        own_host=own.pattern,
        bind=values.address(gateway.host, gateway.port),
        node=values.host(gateway.node),
        node_port=values.positive(gateway.node_port, "node_port", 65535),
        node_address=values.host(gateway.node),
        cache=values.path(gateway.cache_path, "cache"),
        token=values.token(gateway.token),
        hold_seconds=f"{values.positive(gateway.hold_seconds, 'hold_seconds')}s",
        tunnel_seconds=f"{values.positive(gateway.tunnel_seconds, 'tunnel_seconds')}s",
        upload_megabytes=values.positive(gateway.upload_megabytes, "upload_megabytes"),
        page_locations="".join(locations(page(name), "ws") for name in _PAGES),
    )
