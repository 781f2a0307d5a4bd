"""The gateway of a runtime node, where nginx is it: one configuration file, rendered once; routes are links beside it.

The agent alone makes the links (daemons/agent/adapters/nginx.py); `nginx -s reload` reads the configuration again and
takes no route away. Format: nginx 1.22, modules ngx_http_proxy, map, geo, rewrite, limit_conn and realip. Why links and
not a reload or a lookup: docs/adr/0054-nginx-reads-links-and-hosts-reach-gateways.md.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit import gateway_values as values
from daemons.kit import nginx_entrances
from daemons.kit.gateway_pages import page
from daemons.kit.nginx_pages import locations

_TEXT: Final = files("daemons.kit").joinpath("nginx_runtime.conf").read_text(encoding="utf-8")
#: The page's name, and what its answer has beside the text. Addresses that lead nowhere are anybody's invention: they
#: fill no app's log.
_PAGES: Final = (
    ("absent", "        access_log off;\n"),
    ("starting", "        add_header Retry-After 5 always;\n"),
    ("crashed", "        add_header Retry-After 5 always;\n"),
    ("silent", "        add_header Retry-After 5 always;\n"),
    ("busy", "        add_header Retry-After 1 always;\n"),
    ("broken", ""),
    ("slow", ""),
)
#: Where connections to apps come from, by kind: requests, WebSockets, event streams. All are this machine.
REQUESTS: Final = "127.0.0.2"
SOCKETS: Final = "127.0.0.3"
STREAMS: Final = "127.0.0.4"


@dataclass(frozen=True, slots=True)
class RuntimeNginx:
    """What it needs to know. `folder` holds the links, `admin` is the address and port where the agent asks it;
    `server_seconds` is the longest silence of an app before an ordinary request is given up, `tunnel_seconds` that of a
    WebSocket or an event stream."""

    host: str
    port: int
    folder: Path
    admin: tuple[str, int] = ("127.0.0.1", 7006)
    max_per_app: int = 1000
    server_seconds: int = 300
    tunnel_seconds: int = 3600
    #: Addresses and networks of gateways before this one: what they say of a visitor's address and scheme is believed.
    entrances: tuple[str, ...] = ()

    @property
    def access_path(self) -> Path:
        """The socket where the agent takes the access log."""
        return self.folder / "access.sock"


def render(gateway: RuntimeNginx) -> str:
    """The configuration's text. Raises Misconfigured for a value that nginx would misread."""
    main, _, passing = re.split(r"^# --- (\w+)\n", _TEXT, flags=re.MULTILINE)
    foreign = (name for name in nginx_entrances.STRIPPED if name != "X-Forwarded-Prefix")
    stripped = "".join(f'        proxy_set_header {name} "";\n' for name in foreign)
    return Template(main.replace("$passing\n", passing)).substitute(
        bind=values.address(gateway.host, gateway.port),
        admin=values.address(*gateway.admin),
        folder=values.path(gateway.folder, "folder"),
        access=values.path(gateway.access_path, "folder"),
        max_per_app=values.positive(gateway.max_per_app, "max_per_app", 65535),
        server_seconds=f"{values.positive(gateway.server_seconds, 'server_seconds')}s",
        tunnel_seconds=f"{values.positive(gateway.tunnel_seconds, 'tunnel_seconds')}s",
        requests=REQUESTS,
        sockets=SOCKETS,
        streams=STREAMS,
        stripped=stripped,
        believed=nginx_entrances.believed(gateway.entrances),
        entrances=nginx_entrances.scheme(gateway.entrances, "rt"),
        page_locations="".join(locations(page(name), "rt", more) for name, more in _PAGES),
    )
