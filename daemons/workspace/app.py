"""The composition root of the workspace node."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from daemons.kit.auth import Access, Gate
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.problems import problem_middleware
from daemons.kit.settings import revealed
from daemons.kit.tasks import background
from daemons.workspace.composition.files import ContainerOf, FilePorts, add_files
from daemons.workspace.composition.outside import Parts, open_parts
from daemons.workspace.composition.services import Services, make_services
from daemons.workspace.http.containers import ContainerRoutes
from daemons.workspace.http.previews import PreviewRoutes
from daemons.workspace.http.problems import PROBLEMS
from daemons.workspace.http.runs import RunRoutes
from daemons.workspace.http.signed import Signer
from daemons.workspace.http.terminals import TerminalRoutes
from daemons.workspace.settings import WorkspaceSettings

#: A text of 2 MiB as JSON writes it at its longest.
_MAX_BODY_BYTES: Final = 16 * 1024 * 1024
SERVICES: Final = web.AppKey("services", Services)


async def build(settings: WorkspaceSettings) -> web.Application:
    """The node over a real engine and file system."""
    stack = AsyncExitStack()
    app = build_app(settings, await open_parts(settings, stack))

    async def close(_app: web.Application) -> AsyncIterator[None]:
        async with stack:
            yield

    # First in, last out: the loops end before what they use is closed.
    app.cleanup_ctx.insert(0, close)
    return app


def build_app(settings: WorkspaceSettings, parts: Parts) -> web.Application:
    """The node's HTTP application with its loops, over any parts."""
    metrics, access, services = Metrics(), Access(), make_services(settings, parts)
    secrets = revealed(settings.shared_secrets)
    signer = Signer(secrets, settings.max_skew_seconds, parts.clock, settings.allowed_source)
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS), signer.middleware(), access.middleware()],
        client_max_size=_MAX_BODY_BYTES,
    )
    app.add_routes(access.routes(_routes(settings, parts, services), signer.gate()))
    workspaces = services.workspaces
    add_files(app, access, signer, settings, FilePorts(parts.homes, workspaces, ContainerOf(workspaces), parts.clock))
    gateway = Gate("gateway", "X-WS-Token", revealed(settings.gateway_tokens))
    app.add_routes(access.routes(PreviewRoutes(services.previews).table(), gateway))
    app.add_routes(access.routes(HealthRoutes("workspace", parts.clock, parts.checks).table()))
    app.add_routes(access.routes(metrics.table()))
    app.on_startup.append(services.recover)
    app.cleanup_ctx.append(background(services.terminals.run, services.runs.run, services.idle.run))
    app[SERVICES] = services
    return app


def _routes(settings: WorkspaceSettings, parts: Parts, services: Services) -> list[web.RouteDef]:
    containers = ContainerRoutes(services.workspaces, settings.host_root, settings.container_port, parts.clock)
    terminals = TerminalRoutes(services.terminals, settings.terminal_origins)
    seen_at = f"{settings.preview_base_url}{settings.preview_path_prefix}"
    runs = RunRoutes(services.runs, services.logs, services.workspaces, seen_at, settings.container_port)
    return [*containers.table(), *terminals.table(), *runs.table()]
