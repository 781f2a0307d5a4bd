"""The composition root of the workspace node."""

from aiohttp import web

from daemons.kit.auth import Access
from daemons.kit.clock import SystemClock
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.problems import problem_middleware
from daemons.kit.settings import revealed
from daemons.workspace.http.problems import PROBLEMS
from daemons.workspace.http.signed import Signer
from daemons.workspace.settings import WorkspaceSettings

#: A text of 2 MiB as JSON writes it at its longest.
_MAX_BODY_BYTES = 16 * 1024 * 1024


async def build(settings: WorkspaceSettings) -> web.Application:
    """The node over a real engine and file system."""
    return build_app(settings)


def build_app(settings: WorkspaceSettings) -> web.Application:
    """The node's HTTP application with its loops."""
    clock, metrics, access = SystemClock(), Metrics(), Access()
    signer = Signer(revealed(settings.shared_secrets), settings.max_skew_seconds, clock)
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS), signer.middleware(), access.middleware()],
        client_max_size=_MAX_BODY_BYTES,
    )
    health = HealthRoutes("workspace", clock, {})
    app.add_routes(access.routes(health.table()))
    app.add_routes(access.routes(metrics.table()))
    return app
