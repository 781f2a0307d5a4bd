"""The gateway of a runtime node: one static HAProxy configuration, rendered once; routes live in maps beside it.

Run it in the foreground under a supervisor with the command line that `command` gives, after `install` wrote its
files. SIGUSR2 makes it read configuration and maps again without refusing anybody.

The agent alone changes routes and notices: first the map file (so that a restart serves the same before its first
request), then every running process over the admin sockets. Nothing else writes either of them.
Format: HAProxy 2.6 configuration manual. Why it is a map and not server slots: docs/adr/0003-gateway-switch.md
and docs/adr/0010-gateway-processes-and-long-requests.md.
"""

import ipaddress
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit import haproxy_entry
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.gateway_pages import pages
from daemons.kit.haproxy_entry import Services
from daemons.kit.settings import Misconfigured

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@=,-]*[A-Za-z0-9._+@=,-]")
#: `sun_path` holds 108 bytes and HAProxy binds a longer temporary name first.
_LONGEST_SOCKET_PATH: Final = 92
_TEMPLATE: Final = Template(files("daemons.kit").joinpath("haproxy.cfg").read_text(encoding="utf-8"))
_CONFINING: Final = files("daemons.kit").joinpath("confining.lua").read_text(encoding="utf-8")
_PREVIEWS: Final = files("daemons.kit").joinpath("haproxy_previews.cfg").read_text(encoding="utf-8")
_FINDING: Final = Template(files("daemons.kit").joinpath("previews.lua").read_text(encoding="utf-8"))
_PARKING: Final = Template(files("daemons.kit").joinpath("parking.lua").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class PreviewNode:
    """The workspace node whose previews the gateway serves: the address and port of its API. The token for questions to
    it comes from the environment (FUNAI_WORKSPACE_NGINXAUTHTOKEN). `hold_seconds` is how long a visitor waits for a
    workspace that wakes up; with `own`, each preview is seen on a host of its own."""

    address: str
    port: int
    hold_seconds: int = 30
    own: OwnHosts | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a gateway needs to know; paths are absolute.

    `server_seconds` is the longest silence of an app before an ordinary request is given up, `tunnel_seconds` that of a
    WebSocket or an event stream, which is also how long the former process may live on after a reload. `hold_seconds`
    is the longest wait for an app that changes over.
    """

    host: str
    port: int
    map_path: Path
    socket_path: Path
    max_connections: int = 4000
    max_per_app: int = 1000
    server_seconds: int = 300
    tunnel_seconds: int = 3600
    hold_seconds: int = 90
    previews: "PreviewNode | None" = None
    #: Addresses and networks of gateways before this one: what they say of a visitor's address and scheme is believed.
    entrances: tuple[str, ...] = ()
    #: With them it is the platform's entry as well.
    services: Services | None = None

    @property
    def previews_path(self) -> Path:
        """The map from previews to where they are served."""
        return self.map_path.with_name("previews.map")

    @property
    def finding_path(self) -> Path:
        """The script that asks the workspace node for previews, beside the map."""
        return self.map_path.with_name("previews.lua")

    @property
    def parking_path(self) -> Path:
        """The script that lets requests wait, beside the map."""
        return self.map_path.with_name("parking.lua")

    @property
    def confining_path(self) -> Path:
        """The script that keeps an app's cookies below its address, beside the map."""
        return self.map_path.with_name("confining.lua")

    @property
    def notices_path(self) -> Path:
        """The map from apps to what is said of those that nothing answers for."""
        return self.map_path.with_name("notices.map")

    @property
    def domains_path(self) -> Path:
        """The list of hosts of apps' own, as the API tells it."""
        return self.map_path.with_name("domains.map")

    @property
    def pages_path(self) -> Path:
        """The map from names of pages to their text."""
        return self.map_path.with_name("pages.map")

    @property
    def master_path(self) -> Path:
        """The socket of the process above the one that serves: it knows former ones that still serve after a reload."""
        return self.socket_path.with_name("master.sock")

    @property
    def access_path(self) -> Path:
        """The socket where the agent takes the access log."""
        return self.socket_path.with_name("access.sock")


def command(haproxy: str, gateway: Gateway, config_path: Path) -> tuple[str, ...]:
    """The command line of a gateway in the foreground: a master, and below it the process that serves."""
    return (haproxy, "-W", "-db", "-S", f"{gateway.master_path},mode,600,level,admin", "-f", str(config_path))


def render(gateway: Gateway) -> str:
    """The configuration's text. Raises Misconfigured for a value that HAProxy would misread."""
    return _TEMPLATE.substitute(
        bind=_bind(gateway.host, gateway.port),
        map=_path(gateway.map_path, "route map"),
        notices=_path(gateway.notices_path, "map of notices"),
        pages=_path(gateway.pages_path, "map of pages"),
        socket=_socket(gateway.socket_path),
        access_socket=_socket(gateway.access_path),
        max_connections=_positive(gateway.max_connections, "max_connections"),
        max_per_app=_positive(gateway.max_per_app, "max_per_app"),
        parking=_path(gateway.parking_path, "script"),
        confining=_path(gateway.confining_path, "script"),
        table_size=_positive(gateway.max_connections, "max_connections") * 4,
        server_seconds=f"{_positive(gateway.server_seconds, 'server_seconds')}s",
        tunnel_seconds=f"{_positive(gateway.tunnel_seconds, 'tunnel_seconds')}s",
        entrances=haproxy_entry.entrances(gateway.entrances),
        **_entry_parts(gateway),
        **_preview_parts(gateway),
    )


def _entry_parts(gateway: Gateway) -> dict[str, str]:
    """What the configuration has for services beside the nodes, by the place where it stands; nothing without any."""
    found = dict.fromkeys(("frontend", "ways", "backends"), "")
    if gateway.services is not None:
        pages_path = _path(gateway.pages_path, "map of pages")
        found |= haproxy_entry.parts(gateway.services, pages_path, gateway.tunnel_seconds)
        found["frontend"] = haproxy_entry.hosts(gateway.domains_path) + found["frontend"]
    return {f"entry_{place}": found[place] for place in ("frontend", "ways", "backends")}


def _preview_parts(gateway: Gateway) -> dict[str, str]:
    """What the configuration has for previews, by the place where it stands; nothing without a workspace node."""
    places = ("global", "frontend", "backends")
    if gateway.previews is None:
        return {f"previews_{place}": "" for place in places}
    own = gateway.previews.own
    whole = Template(_PREVIEWS).substitute(
        own_host=own.pattern if own else "",
        own_authority=own.authority if own else "",
        own_scheme=own.scheme if own else "",
        script=_path(gateway.finding_path, "script"),
        map=_path(gateway.previews_path, "map of previews"),
        pages=_path(gateway.pages_path, "map of pages"),
        node_address=str(ipaddress.ip_address(gateway.previews.address)),
        node_bind=_bind(gateway.previews.address, gateway.previews.port),
        tunnel_seconds=f"{_positive(gateway.tunnel_seconds, 'tunnel_seconds')}s",
    )
    parts = re.split(r"^# --- (\w+)\n", whole, flags=re.MULTILINE)
    found = {place: parts[parts.index(place) + 1] for place in (*places, "hosts")}
    if own is not None:
        found["frontend"] = found["hosts"] + found["frontend"]
    return {f"previews_{place}": found[place] for place in places}


def render_finding(gateway: Gateway, node: PreviewNode) -> str:
    """The text of the script that asks for previews. Raises Misconfigured for a value that it would misread."""
    return _FINDING.substitute(
        map=_path(gateway.previews_path, "map of previews"),
        node=f"http://{_bind(node.address, node.port)}",
        hold_ms=_positive(node.hold_seconds, "hold_seconds") * 1000,
    )


def render_parking(gateway: Gateway) -> str:
    """The text of the script that lets requests wait. Raises Misconfigured for a value that it would misread."""
    return _PARKING.substitute(
        map=_path(gateway.map_path, "route map"),
        max_per_app=_positive(gateway.max_per_app, "max_per_app"),
        # Those who wait for one app must leave room for the visitors of all others.
        max_parked=max(1, _positive(gateway.max_connections, "max_connections") // 2),
        hold_seconds=_positive(gateway.hold_seconds, "hold_seconds"),
    )


def install(gateway: Gateway, config_path: Path) -> None:
    """Write configuration, scripts, pages and, unless there are any, empty maps: HAProxy does not start without them.

    Raises Misconfigured for a value that HAProxy would misread, OSError when a file cannot be written.
    """
    text, parking = render(gateway), render_parking(gateway)
    for path in (config_path, gateway.map_path, gateway.socket_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not gateway.domains_path.exists():
        gateway.domains_path.write_text("# 0 domains\n", encoding="utf-8")
    for path in (gateway.map_path, gateway.notices_path):
        path.touch(mode=0o644, exist_ok=True)
    gateway.pages_path.write_text(pages(), encoding="utf-8")
    gateway.parking_path.write_text(parking, encoding="utf-8")
    gateway.confining_path.write_text(_CONFINING, encoding="utf-8")
    if gateway.previews is not None:
        gateway.finding_path.write_text(render_finding(gateway, gateway.previews), encoding="utf-8")
        # What a former process found is old.
        gateway.previews_path.write_text("", encoding="utf-8")
    config_path.write_text(text, encoding="utf-8")


def _bind(host: str, port: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Misconfigured(f"the gateway's bind address must be an IP address, not {host!r}") from None
    if not 1 <= port <= 65535:
        raise Misconfigured(f"the gateway's port must be from 1 to 65535, not {port}")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _path(path: Path, what: str) -> str:
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise Misconfigured(
            f"the gateway's {what} is {str(path)!r}; HAProxy needs an absolute path of letters, digits and ._/+@=,- "
            "without spaces: choose another data folder"
        )
    return str(path)


def _socket(path: Path) -> str:
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        raise Misconfigured(
            f"the gateway's admin socket {path} is longer than {_LONGEST_SOCKET_PATH} characters, "
            "which no unix socket can be: choose a data folder with a shorter path"
        )
    return _path(path, "admin socket")


def _positive(value: int, name: str) -> int:
    if not 1 <= value <= 1_000_000:
        raise Misconfigured(f"the gateway's {name} must be from 1 to 1000000, not {value}")
    return value
