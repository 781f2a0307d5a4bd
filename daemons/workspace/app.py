"""The composition root of the workspace node."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from daemons.kit.auth import ACCESS, Access, Gate
from daemons.kit.endless import break_off_at_shutdown
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.openapi import ContractRoutes, check_described
from daemons.kit.problems import problem_middleware
from daemons.kit.settings import revealed
from daemons.kit.tasks import Loop, every
from daemons.workspace.composition.files import ContainerOf, FilePorts, add_files
from daemons.workspace.composition.git import GitPorts, add_git
from daemons.workspace.composition.moves import add_moves
from daemons.workspace.composition.outside import Parts, open_parts
from daemons.workspace.composition.packages import add_caches
from daemons.workspace.composition.services import Services, make_services, seen_at
from daemons.workspace.composition.upkeep import add_upkeep
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.http.containers import ContainerRoutes
from daemons.workspace.http.databases import DatabaseRoutes
from daemons.workspace.http.fence import Fence, marked
from daemons.workspace.http.holdings import HoldingRoutes
from daemons.workspace.http.operators import OperatorRoutes
from daemons.workspace.http.preview_access import PreviewAccessRoutes
from daemons.workspace.http.previews import PreviewRoutes
from daemons.workspace.http.problems import PROBLEMS
from daemons.workspace.http.runs import RunRoutes
from daemons.workspace.http.signed import WHOLE_BYTES, Signer
from daemons.workspace.http.terminals import TerminalRoutes
from daemons.workspace.http.terminals_former import FormerTerminalRoutes
from daemons.workspace.http.trying import TryingRoutes
from daemons.workspace.services.caches import Caches
from daemons.workspace.services.trying import Trying
from daemons.workspace.services.visits import Visits
from daemons.workspace.settings import WorkspaceSettings

_LOGS_SECONDS: Final = 2.0
#: A node that waits for its users keeps 16 MiB less than with a control plane's thresholds, and echoes as fast.
GARBAGE: Final = (5_000, 10, 20)
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
    visits = Visits()
    fence = Fence(services.workspaces, visits)
    proofs = [signer.middleware(), access.middleware(), fence.middleware()]
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS), *proofs], client_max_size=WHOLE_BYTES
    )
    app.on_response_prepare.append(marked)
    app[ACCESS] = access
    wiring = Wiring(app, access, signer, settings)
    _add_workspaces(wiring, parts, services)
    app.on_startup.append(services.recover)
    add_moves(wiring, parts, services, visits)
    gateway = Gate("gateway", "X-WS-Token", revealed(settings.gateway_tokens))
    previews = PreviewRoutes(services.previews, services.admission, seen_at(settings))
    wiring.serve_gateway(previews.table(), gate=gateway)
    checks = parts.checks | ({"api": services.heartbeat.check} if services.heartbeat else {})
    wiring.serve_anybody(HealthRoutes("workspace", parts.clock, checks).table(), metrics.table())
    wiring.serve_anybody(ContractRoutes("daemons.workspace").table())
    check_described(app.router)
    app.on_shutdown.append(lambda _app: services.execs.close())
    break_off_at_shutdown(app)
    wiring.loop(*_loops(services, settings))
    app[SERVICES] = services
    return app


def _add_workspaces(wiring: Wiring, parts: Parts, services: Services) -> None:
    """What users do in their workspaces, and the API for itself."""
    workspaces = services.workspaces
    ports = FilePorts(parts.homes, workspaces, ContainerOf(workspaces), parts.clock, parts.homes)
    files = add_files(wiring, ports)
    caches = add_caches(wiring, workspaces, files.disk, parts.clock)
    wiring.serve(*_tables(wiring.settings, parts, services, caches))
    git = add_git(wiring, workspaces, GitPorts(parts.commands, parts.passages, parts.keys, parts.clock))
    add_upkeep(wiring, parts, services, files, git)


def _loops(services: Services, settings: WorkspaceSettings) -> list[Loop]:
    async def bound_logs() -> None:
        await every(_LOGS_SECONDS, lambda: services.logs.bound(settings.log_bytes))

    idle = services.idle
    beats = [services.heartbeat.run] if services.heartbeat else []
    runs = [services.terminals.run, services.runs.run, services.figures.run]
    databases = [services.databases.run] if services.databases else []
    return [*runs, *databases, idle.run, idle.run_heeding, bound_logs, *beats]


def _tables(
    settings: WorkspaceSettings, parts: Parts, services: Services, caches: Caches
) -> Sequence[Sequence[web.RouteDef]]:
    containers = ContainerRoutes(services.workspaces, caches, settings.host_root, settings.container_port, parts.clock)
    terminals = TerminalRoutes(services.terminals, settings.terminal_origins)
    former = FormerTerminalRoutes(services.terminals, settings.terminal_origins)
    addresses = seen_at(settings)
    runs = RunRoutes(services.runs, services.logs, services.workspaces, addresses, settings.container_port)
    holdings = HoldingRoutes(services.workspaces, parts.homes)
    operators = OperatorRoutes(services.workspaces, services.figures, services.execs, settings.memory_bytes)
    trying = Trying(services.workspaces, parts.runs.projects, parts.commands, settings.test_bytes)
    tries = TryingRoutes(trying, settings.test_seconds, settings.test_most_seconds)
    access = PreviewAccessRoutes(services.admission, addresses, parts.clock)
    databases = DatabaseRoutes(services.databases, services.workspaces)
    ends = (containers.table(), terminals.table(), former.table(), runs.table(), tries.table())
    return (*ends, holdings.table(), operators.table(), access.table(), databases.table())
