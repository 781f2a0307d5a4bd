"""What a Traefik reads of an app: labels on its container, and the document of the file provider.

Labels: names and values are those that existing gateways were set up with, but for the rule, which there ended in the
middle of a segment (`/runtime/12` took `/runtime/123`). The document decides while it names an app: its routers have
a priority above any label's, whose default is the length of its rule. Format: Traefik 2.11, routing and file provider.
"""

from collections.abc import Mapping
from typing import Final

from daemons.agent.domain.containers import Json

_PRIORITY: Final = 1_000_000
_CLEAN: Final = "rt-clean"
#: A request header that is set to nothing is removed.
_SECRETS: Final = {
    name: ""
    for name in (
        "X-Runtime-Token", "X-Admin-Token", "X-Runner-Token", "X-RT-Node-Token", "X-WS-Token", "X-WS-Node-Token",
        "X-DEPLOY-SECRET",
    )
}  # fmt: skip


def labels(app_id: str, container_port: int) -> dict[str, str]:
    """Those of an app's container."""
    path = f"/runtime/{app_id}"
    return {
        "traefik.enable": "true",
        f"traefik.http.routers.rt-app-{app_id}.rule": _rule(path),
        f"traefik.http.routers.rt-app-{app_id}.middlewares": f"rt-mw-{app_id}",
        f"traefik.http.routers.rt-app-{app_id}.service": f"rt-svc-{app_id}",
        f"traefik.http.middlewares.rt-mw-{app_id}.stripprefix.prefixes": path,
        f"traefik.http.services.rt-svc-{app_id}.loadbalancer.server.port": str(container_port),
    }


def document(routes: Mapping[str, str]) -> dict[str, Json]:
    """The file provider's document for routes from apps to `address:port`; empty without any, as Traefik demands."""
    if not routes:
        return {}
    middlewares: dict[str, Json] = {_CLEAN: {"headers": {"customRequestHeaders": dict(_SECRETS)}}}
    middlewares |= {f"rt-mw-{app}": {"stripPrefix": {"prefixes": list(_paths(app))}} for app in routes}
    services: dict[str, Json] = {
        f"rt-svc-{app}": {"loadBalancer": {"servers": [{"url": f"http://{target}"}]}} for app, target in routes.items()
    }
    routers: dict[str, Json] = {f"rt-app-{app}": _router(app) for app in routes}
    return {"http": {"routers": routers, "middlewares": middlewares, "services": services}}


def _router(app_id: str) -> dict[str, Json]:
    return {
        "rule": " || ".join(_rule(path) for path in _paths(app_id)),
        "service": f"rt-svc-{app_id}",
        "middlewares": [_CLEAN, f"rt-mw-{app_id}"],
        "priority": _PRIORITY,
    }


def _paths(app_id: str) -> tuple[str, str]:
    return f"/runtime/{app_id}", f"/apps/{app_id}"


def _rule(path: str) -> str:
    """Whole segments only."""
    return f"PathPrefix(`{path}/`) || Path(`{path}`)"
