"""Who may call a route: shared secrets in headers and, as a second factor, address allowlists.

Access is bound to the resolved route and denied by default: a route that no `Access` table names answers 403,
whatever its path
looks like. Comparison is constant-time over digests of all live tokens, so that tokens can rotate in pairs.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from aiohttp import web

from protocol.errors import ErrorReason

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
CALLER: Final = web.RequestKey("caller", str)
SOURCE: Final = web.RequestKey("source", str)
#: What a path's variable may be is no part of the canonical path that aiohttp knows the route by.
_PATTERN: Final = re.compile(r"\{(\w+):[^{}]*\}")


class Unauthorized(Exception):
    """The caller did not prove who it is."""


class Forbidden(Exception):
    """The caller's address is not admitted."""


#: To be merged into every daemon's problem table.
AUTH_PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    Unauthorized: (401, ErrorReason.UNAUTHORIZED),
    Forbidden: (403, ErrorReason.FORBIDDEN),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One kind of caller: its name, its header, its live tokens and where it may call from (empty: anywhere)."""

    name: str
    header: str
    tokens: tuple[str, ...] = field(repr=False)
    enabled: bool = True
    networks: tuple[Network, ...] = ()
    scheme: str = ""

    def proves(self, request: web.Request) -> bool:
        """Whether the request carries one of the tokens, exactly once."""
        given = request.headers.getall(self.header, [])
        if len(given) != 1 or not given[0].startswith(self.scheme):
            return False
        digest = _digest(given[0][len(self.scheme) :].strip())
        matches = [hmac.compare_digest(digest, _digest(token)) for token in self.tokens]
        return any(matches)


class Access:
    """The table from route handlers to the gates that open them; an empty tuple means anyone."""

    def __init__(self, *, trusted_proxies: Sequence[Network] = ()) -> None:
        self._open_to: dict[tuple[str, str], tuple[Gate, ...]] = {}
        self._proxies = tuple(trusted_proxies)

    def routes(self, table: Sequence[web.RouteDef], *gates: Gate) -> Sequence[web.RouteDef]:
        """Admit callers of any of the gates to these routes; returns the routes for `add_routes`."""
        for route in table:
            self._open_to[(route.method, _PATTERN.sub(r"{\1}", route.path))] = gates
        return table

    def middleware(self) -> Any:
        """Checks every request that resolved to a route; 404 and 405 pass through to be answered as such."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = request.match_info.route
            if request.match_info.http_exception is None and route.resource is not None:
                self._admit(request, route.method, route.resource.canonical)
            return await handler(request)

        return middleware

    def known(self, method: str, path: str) -> bool:
        """Whether the table names this route; tests walk the router with it."""
        return (method, path) in self._open_to

    def gates(self, method: str, path: str) -> tuple[Gate, ...]:
        """The gates of a route that the table names; none: anyone may call it."""
        return self._open_to[(method, path)]

    def _admit(self, request: web.Request, method: str, path: str) -> None:
        gates = self._open_to.get((method, path))
        if gates is None and method == "HEAD":
            gates = self._open_to.get(("GET", path))
        if gates is None:
            raise Forbidden("this route is open to nobody")
        if gates:
            self.prove(request, gates)
        else:
            self.note(request)

    def note(self, request: web.Request) -> None:
        """Note from where a request comes that anyone may make."""
        request[SOURCE] = str(client_address(request, self._proxies) or "")

    def prove(self, request: web.Request, gates: Sequence[Gate]) -> None:
        """Note who calls, and from where: whoever passes one of the gates, and without gates nobody. Raises
        Unauthorized, Forbidden."""
        self.note(request)
        proven = None
        for gate in gates:
            if not gate.enabled or gate.proves(request):
                proven = proven or gate
        if proven is None:
            headers = " or ".join(dict.fromkeys(gate.header for gate in gates))
            raise Unauthorized(f"a valid token is required in the header {headers}")
        if proven.enabled:
            self.require_inside(request, proven.networks)
        request[CALLER] = proven.name

    def require_inside(self, request: web.Request, networks: Sequence[Network]) -> None:
        """Raises Forbidden unless the caller is in one of the networks; where there are none, anyone is."""
        if networks and not self._inside(request, networks):
            raise Forbidden("your address is not on the allowlist of this endpoint")

    def _inside(self, request: web.Request, networks: Sequence[Network]) -> bool:
        address = client_address(request, self._proxies)
        return address is not None and any(address in network for network in networks)


#: Where an application has its table.
ACCESS: Final = web.AppKey("access", Access)


def client_address(
    request: web.Request, proxies: Sequence[Network]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The caller's address: the socket's peer, or behind a trusted proxy the right-most hop that is not one itself."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
    hops.append(request.remote or "")
    address = None
    for hop in reversed(hops):
        address = _address(hop)
        if address is None or not any(address in proxy for proxy in proxies):
            return address
    return address


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
