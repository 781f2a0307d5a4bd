"""The composition root of the runtime agent."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from aiodocker import Docker
from aiohttp import web

from daemons.agent.adapters.access_log import AccessLogs, NoAccessLog
from daemons.agent.adapters.cgroups import Cgroups
from daemons.agent.adapters.control_plane import DeployPlane, NoControlPlane, NodeIdentity
from daemons.agent.adapters.docker_logs import DockerOutputs
from daemons.agent.adapters.docker_store import DockerStore
from daemons.agent.adapters.docker_terminal import DockerTerminals
from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.adapters.manifests import RegistryManifests
from daemons.agent.adapters.meter import PrometheusDiskMeter
from daemons.agent.adapters.node import EngineDisk, HttpProbe, LocalPorts, Machine
from daemons.agent.adapters.state import JsonStates
from daemons.agent.adapters.traefik import TraefikGateway
from daemons.agent.composition.databases import (
    DATABASE_PROBLEMS,
    DatabaseParts,
    app_databases,
    explorer_routes,
    open_databases,
)
from daemons.agent.composition.engines import credentials, open_engine
from daemons.agent.domain.apps import FenceRequired, ForeignApp, StaleFence
from daemons.agent.domain.containers import Limits
from daemons.agent.domain.disk import Line, Watermarks
from daemons.agent.domain.images import RegistryRefused
from daemons.agent.domain.report import Illness
from daemons.agent.domain.shell import Bounds
from daemons.agent.domain.visitors import Patience
from daemons.agent.http.apps import AppRoutes, HealthRoutes
from daemons.agent.http.output import OutputRoutes
from daemons.agent.http.shell import ShellRoutes
from daemons.agent.http.usage import UsageRoutes
from daemons.agent.http.visits import VisitRoutes
from daemons.agent.ports import (
    AccessLog,
    ControlPlane,
    Disk,
    Engine,
    EngineError,
    Gateway,
    HostPorts,
    Manifests,
    NoRoom,
    Outputs,
    Probe,
    StateError,
    StateFiles,
    Store,
    Terminals,
    Usages,
)
from daemons.agent.services.apps import Apps, StopFailed, UnknownApp
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.heartbeat import Heartbeat
from daemons.agent.services.holds import AppBusy, Superseded
from daemons.agent.services.isolation import Keeper
from daemons.agent.services.ledger import Ledger, Recovering
from daemons.agent.services.notices import Notices
from daemons.agent.services.output import AppOutput
from daemons.agent.services.recovery import Recovery
from daemons.agent.services.restoration import Restoration
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.rollout import ConfirmationUnavailable, DeployFailed, NotConfirmed, Policy, Rollout, TooMuch
from daemons.agent.services.room import Room
from daemons.agent.services.selfview import Ask, SelfView
from daemons.agent.services.shells import NotRunning, Shells
from daemons.agent.services.startup import Startup
from daemons.agent.services.usage import AppUsage
from daemons.agent.services.vigil import Vigil
from daemons.agent.services.visits import Visits
from daemons.agent.settings import AgentSettings
from daemons.kit.auth import AUTH_PROBLEMS, Access, Gate
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.daemon import MAX_BODY_BYTES
from daemons.kit.health import Check
from daemons.kit.health import HealthRoutes as ReadyRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.problems import Problems, as_detail, problem_middleware
from daemons.kit.seats import NoSeat
from daemons.kit.settings import revealed
from daemons.kit.tasks import background
from protocol import headers
from protocol.client.node import NodeClient
from protocol.client.transport import Transport
from protocol.errors import ErrorReason

logger = logging.getLogger(__name__)

VERSION: Final = "0.1.0"
#: Callers of a stop give up after ten seconds, so it waits less long for requests in flight than a switch does.
_STOP_DRAIN_SECONDS: Final = 3.0

PROBLEMS: Final[Problems] = {
    **AUTH_PROBLEMS,
    **DATABASE_PROBLEMS,
    FenceRequired: (400, ErrorReason.INVALID_REQUEST),
    StaleFence: (409, ErrorReason.STALE_FENCE),
    NotConfirmed: (409, ErrorReason.STALE_FENCE),
    AppBusy: (409, ErrorReason.APP_BUSY),
    Superseded: (409, ErrorReason.STALE_FENCE),
    RegistryRefused: (403, ErrorReason.FORBIDDEN),
    NoRoom: (409, ErrorReason.NODE_FULL),
    NotRunning: (409, ErrorReason.NOT_RUNNING),
    NoSeat: (429, ErrorReason.RATE_LIMITED),
    ForeignApp: (409, ErrorReason.ALREADY_EXISTS),
    UnknownApp: (404, ErrorReason.NOT_FOUND),
    TooMuch: (400, ErrorReason.INVALID_REQUEST),
    DeployFailed: (500, ErrorReason.DEPLOY_FAILED),
    StopFailed: (500, ErrorReason.DEPLOY_FAILED),
    EngineError: (500, ErrorReason.PEER_FAILED),
    StateError: (500, ErrorReason.INTERNAL),
    ConfirmationUnavailable: (503, ErrorReason.PEER_FAILED),
    Recovering: (503, ErrorReason.UNAVAILABLE),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything outside the agent."""

    engine: Engine
    gateway: Gateway
    states: StateFiles
    control_plane: ControlPlane
    probe: Probe
    ports: HostPorts
    disk: Disk
    manifests: Manifests
    store: Store
    checks: Mapping[str, Check]
    versions: Mapping[str, Ask]
    outputs: Outputs
    usages: Usages
    terminals: Terminals
    access_log: AccessLog = field(default_factory=NoAccessLog)
    clock: Clock = field(default_factory=SystemClock)
    database: DatabaseParts | None = None


def build_app(settings: AgentSettings, parts: Parts) -> web.Application:
    """The agent's HTTP application with its loops, over any parts."""
    ledger, metrics = Ledger(parts.states), Metrics()
    patience = Patience(settings.drain_seconds, settings.stream_drain_seconds)
    retirement = Retirement(parts.engine, parts.gateway, ledger, parts.control_plane, patience)
    startup = Startup(parts.engine, parts.probe, parts.ports, settings.start_seconds)
    restoration = Restoration(parts.engine, parts.gateway, ledger, retirement, startup)
    watch, collector, room = _disk(settings, parts, ledger, metrics)
    heartbeat = _heartbeat(settings, parts, watch, collector, lambda running: vigil.unwell(running))
    databases = app_databases(settings, parts.database)

    def now() -> float:
        return parts.clock.now().timestamp()

    engine, plane, policy = parts.engine, parts.control_plane, _policy(settings)
    rollout = Rollout(
        engine, parts.gateway, ledger, plane, startup, retirement, restoration, room, policy, now, databases
    )
    recovery = Recovery(parts.engine, parts.gateway, ledger, retirement, now)
    notices = Notices(parts.gateway, ledger)
    watched = (parts.engine, parts.probe, ledger, retirement, restoration, notices)
    vigil = Vigil(*watched, lambda: recovery.done, now, heartbeat.soon)
    stop_patience = Patience(min(settings.drain_seconds, _STOP_DRAIN_SECONDS))
    apps = Apps(parts.engine, parts.outputs, parts.gateway, ledger, retirement, vigil, stop_patience, databases)
    visits = VisitRoutes(Visits(ledger, parts.access_log), recovery)
    routes = AppRoutes(rollout, apps, recovery, heartbeat, settings.gateway_url, settings.registries)
    output = AppOutput(parts.outputs, ledger)
    shells = Shells(parts.terminals, parts.engine, ledger, apps, _bounds(settings), settings.shells)
    insights = [*_insights(output, AppUsage(parts.usages, ledger), recovery), *ShellRoutes(shells, recovery).table()]
    served = [*routes.table(), *visits.table(), *insights, *explorer_routes(settings, parts.database)]
    keeper = Keeper(parts.engine)
    app = _served(parts, served, settings, recovery, keeper, metrics)
    app.on_shutdown.append(_closing(output, shells))
    beats = [heartbeat.run] if _reports(settings) else []
    beats += [databases.run] if databases else []
    loops = (keeper.run, watch.run, collector.run, recovery.run, retirement.run, vigil.run, shells.run)
    app.cleanup_ctx.append(background(*loops, parts.access_log.run, *beats))
    return app


def _served(
    parts: Parts,
    routes: Sequence[web.RouteDef],
    settings: AgentSettings,
    recovery: Recovery,
    keeper: Keeper,
    metrics: Metrics,
) -> web.Application:
    """The application: `routes` behind the agent's token, and what anybody may ask."""

    async def recovered() -> None:
        recovery.check()

    access = Access()
    runtime = Gate("runtime", headers.AGENT_TOKEN, revealed(settings.tokens))
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS, as_detail), access.middleware()],
        client_max_size=MAX_BODY_BYTES,
    )
    ready = ReadyRoutes("agent", SystemClock(), {**parts.checks, "recovery": recovered, "isolation": keeper.check})
    app.add_routes(access.routes(routes, runtime))
    app.add_routes(access.routes(HealthRoutes().table()))
    app.add_routes(access.routes([web.get("/internal/ready", ready.ready)]))
    app.add_routes(access.routes(metrics.table()))
    return app


def _disk(settings: AgentSettings, parts: Parts, ledger: Ledger, metrics: Metrics) -> tuple[DiskWatch, Collector, Room]:
    """Who watches the disk, who collects when it fills, and who keeps room for what is pulled."""
    meter = PrometheusDiskMeter(metrics.registry)
    watch = DiskWatch(parts.disk, _watermarks(settings), meter)
    collector = Collector(parts.engine, parts.store, ledger, parts.control_plane, watch, meter, SystemClock())
    return watch, collector, Room(watch, collector, parts.manifests, parts.store, meter, settings.pull_expansion)


def _heartbeat(
    settings: AgentSettings,
    parts: Parts,
    watch: DiskWatch,
    collector: Collector,
    unwell: Callable[[frozenset[str]], Sequence[Illness]],
) -> Heartbeat:
    """Sent at once, too, when the disk crosses a line or was collected on."""
    view = SelfView(parts.engine, watch, collector, Machine(), parts.versions, unwell)
    heartbeat = Heartbeat(parts.control_plane, view.report, settings.heartbeat_seconds)
    watch.tell(heartbeat.soon)
    collector.tell(heartbeat.soon)
    return heartbeat


def _insights(output: AppOutput, usage: AppUsage, recovery: Recovery) -> list[web.RouteDef]:
    """What is seen of apps that run."""
    return OutputRoutes(output, recovery).table() + UsageRoutes(usage, recovery).table()


def _closing(output: AppOutput, shells: Shells) -> Callable[[web.Application], Awaitable[None]]:
    """At a shutdown nobody waits for readers who would never leave."""

    async def close(_app: web.Application) -> None:
        output.close()
        await shells.close()

    return close


async def build(settings: AgentSettings) -> web.Application:
    """The agent over a real engine, gateway and control plane."""
    stack = AsyncExitStack()
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, force_close=True), cookie_jar=aiohttp.DummyCookieJar()
        )
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    docker = await stack.enter_async_context(Docker(url=settings.docker_host, timeout=timeout))
    engine = open_engine(settings, docker)
    gateway = _gateway(settings)
    parts = Parts(
        engine=engine,
        gateway=gateway,
        states=JsonStates(_absolute(settings.data_dir)),
        control_plane=await _control_plane(settings, stack),
        probe=HttpProbe(session),
        ports=LocalPorts(*settings.app_ports),
        disk=EngineDisk(engine.root_dir),
        manifests=RegistryManifests(session, engine.insecure, credentials(settings)),
        store=DockerStore(engine),
        checks={"engine": engine.ping, "gateway": gateway.ping},
        versions={"engine": engine.version, "gateway": gateway.version},
        access_log=_access_log(settings),
        database=await open_databases(settings, _absolute(settings.data_dir), stack),
        outputs=DockerOutputs(docker, engine.locate),
        usages=Cgroups(docker, engine.locate),
        terminals=DockerTerminals(docker, engine.locate),
    )
    app = build_app(settings, parts)

    async def close(_app: web.Application) -> AsyncIterator[None]:
        async with stack:
            yield

    # First in, last out: the loops end before what they use is closed.
    app.cleanup_ctx.insert(0, close)
    return app


def _gateway(settings: AgentSettings) -> HaproxyGateway | TraefikGateway:
    if settings.gateway_driver == "traefik":
        return TraefikGateway(_absolute(settings.traefik_file), settings.traefik_settle_seconds)
    return HaproxyGateway(_absolute(settings.gateway_map), _absolute(settings.gateway_socket))


def _access_log(settings: AgentSettings) -> AccessLog:
    if settings.gateway_driver == "traefik":
        return NoAccessLog()
    socket_path = _absolute(settings.gateway_socket).with_name("access.sock")
    # Half of the bound each: the file that is written, and the one before.
    file_bytes = settings.access_log_bytes // 2
    return AccessLogs(socket_path, _absolute(settings.data_dir), file_bytes, settings.access_log_days)


async def _control_plane(settings: AgentSettings, stack: AsyncExitStack) -> ControlPlane:
    if not settings.confirms:
        logger.warning("no deploy is configured: this node sends no heartbeats and asks nobody before a switch")
        return NoControlPlane()
    token = settings.node_token.get_secret_value()
    transport = await stack.enter_async_context(
        Transport(settings.deploy_url, {headers.NODE_TOKEN: token}, timeout=3.0)
    )
    if not _reports(settings):
        logger.warning(
            "no heartbeats are sent: set RUNTIME_NODE_AGENT_BASE_URL and RUNTIME_NODE_GATEWAY_BASE_URL to the "
            "addresses of this agent and of its gateway"
        )
    identity = NodeIdentity(
        settings.node_name,
        settings.agent_url,
        settings.gateway_url,
        settings.heartbeat_seconds,
        VERSION,
        settings.labels,
    )
    return DeployPlane(NodeClient(transport), identity)


def _reports(settings: AgentSettings) -> bool:
    return bool(settings.confirms and settings.agent_url and settings.gateway_url)


def _policy(settings: AgentSettings) -> Policy:
    limits = Limits(settings.memory_bytes, settings.nano_cpus, settings.pids_limit)
    most = Limits(
        max(settings.memory_bytes, settings.most_memory_bytes),
        max(settings.nano_cpus, settings.most_nano_cpus),
        max(settings.pids_limit, settings.most_pids),
    )
    return Policy(
        settings.node_name,
        limits,
        most,
        settings.network,
        settings.require_fence,
        settings.confirms,
        settings.watch_seconds,
        settings.gateway_driver == "traefik",
    )


def _bounds(settings: AgentSettings) -> Bounds:
    return Bounds(settings.shell_idle_seconds, settings.shell_seconds)


def _watermarks(settings: AgentSettings) -> Watermarks:
    return Watermarks(*(Line(*line) for line in settings.disk_lines))


def _absolute(path: Path) -> Path:
    return Path.cwd() / path
