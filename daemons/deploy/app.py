"""Composition of the control plane: the only place that knows which parts stand behind which ports."""

import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from daemons.deploy.adapters.agent import HttpAgent
from daemons.deploy.adapters.agent_databases import HttpAppDatabases
from daemons.deploy.adapters.agent_door import AgentDoor
from daemons.deploy.adapters.agent_streams import HttpRunningApps
from daemons.deploy.adapters.grouped import grouped
from daemons.deploy.adapters.store import open_store, promote_store
from daemons.deploy.adapters.webhook import open_receiver
from daemons.deploy.composition.registries import image_registry, registry_place
from daemons.deploy.domain.addresses import PRIVATE, AgentAddresses, AgentAddressRefused
from daemons.deploy.domain.apps import AppNotFound
from daemons.deploy.domain.capacity import DoesNotFit
from daemons.deploy.domain.drains import DrainLive, DrainNotFound, DrainOver
from daemons.deploy.domain.expected import ChangedMeanwhile
from daemons.deploy.domain.failover import FailoverRules
from daemons.deploy.domain.idempotency import IdempotencyMismatch
from daemons.deploy.domain.inventory import InventoryRefused, TooManyOrphans
from daemons.deploy.domain.jobs import AppBusy, IllegalTransition, JobNotFound, LeaseLost, TooLate
from daemons.deploy.domain.late_logs import LogLater
from daemons.deploy.domain.logs import LogClosed, LogFull, LogGap, LogRemoved
from daemons.deploy.domain.nodes import NodeDeleted, NodeInUse, NodeNotFound, NodePolicy, RunnerNotFound
from daemons.deploy.domain.operations import OperationEnded, OperationNotFound
from daemons.deploy.domain.placement import NodeDisabled, NodeFull, NodeStale
from daemons.deploy.domain.releases import ImageGone, ImageMutable, NothingToRollBackTo, ReleaseNotFound
from daemons.deploy.domain.succession import NotRetryable
from daemons.deploy.domain.upstreams import NotReachable, Upstreams
from daemons.deploy.domain.webhooks import DeliveryMade, DeliveryNotFound
from daemons.deploy.http.admin import AdminRoutes
from daemons.deploy.http.apps import AppRoutes
from daemons.deploy.http.audit import AuditRoutes
from daemons.deploy.http.databases import DatabaseRoutes
from daemons.deploy.http.drains import DrainRoutes
from daemons.deploy.http.events import EventRoutes
from daemons.deploy.http.figures import Figures
from daemons.deploy.http.gates import Gates, gates_of
from daemons.deploy.http.gateways import GatewayRoutes
from daemons.deploy.http.inventory import InventoryRoutes
from daemons.deploy.http.jobs import JobRoutes
from daemons.deploy.http.logs import LogRoutes
from daemons.deploy.http.node_removal import NodeRemovalRoutes
from daemons.deploy.http.nodes import NodeRoutes
from daemons.deploy.http.operations import OperationRoutes
from daemons.deploy.http.releases import ReleaseRoutes
from daemons.deploy.http.replicas import ReplicaRoutes
from daemons.deploy.http.runners import RunnerRoutes
from daemons.deploy.http.running import RunningRoutes
from daemons.deploy.http.shells import ShellRoutes
from daemons.deploy.http.strays import StrayRoutes
from daemons.deploy.http.webhooks import WebhookRoutes
from daemons.deploy.ports import Agent, AgentFailed, ImageRegistry, Receiver, RegistryFailed, Store, StoreUnavailable
from daemons.deploy.services.apps import AppNotPlaced, Apps
from daemons.deploy.services.audit import Audit
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.catalogue import Catalogue
from daemons.deploy.services.claims import Claims
from daemons.deploy.services.databases import Databases
from daemons.deploy.services.drain_steps import DrainSteps
from daemons.deploy.services.drains import Drains
from daemons.deploy.services.failover import Failover
from daemons.deploy.services.feed import Feed
from daemons.deploy.services.housekeeping import Housekeeping
from daemons.deploy.services.inventory import Inventories
from daemons.deploy.services.kept_images import KeptImages
from daemons.deploy.services.leases import Leases
from daemons.deploy.services.leftovers import Leftovers
from daemons.deploy.services.logkeeping import LogKeeper, LogLimits
from daemons.deploy.services.logs import LOOK_SECONDS, Logs
from daemons.deploy.services.node_removal import NodeRemoval
from daemons.deploy.services.operations import Operations
from daemons.deploy.services.orders import Orders
from daemons.deploy.services.outbox import Outbox, Patience
from daemons.deploy.services.placements import Placements, SameNode
from daemons.deploy.services.queue import JobQueue
from daemons.deploy.services.reading import Reader, Thresholds
from daemons.deploy.services.reaper import DAY_MS, Limits, Reaper
from daemons.deploy.services.registry import NodeRegistry, RunnerRegistry
from daemons.deploy.services.releases import Releases
from daemons.deploy.services.residents import Holders
from daemons.deploy.services.retention import Retention
from daemons.deploy.services.rollback import Rollback
from daemons.deploy.services.rounds import Terms
from daemons.deploy.services.running import AppDown, AppNotRunning, Running
from daemons.deploy.services.shells import Shells
from daemons.deploy.services.singletons import Fenced, Singletons
from daemons.deploy.services.strays import Strays
from daemons.deploy.services.ways import Ways
from daemons.deploy.services.webhooks import LOOK_SECONDS as RESULT_SECONDS
from daemons.deploy.services.webhooks import Webhooks
from daemons.deploy.settings import DeploySettings
from daemons.kit.auth import ACCESS, AUTH_PROBLEMS, Access, Gate
from daemons.kit.clock import SystemClock
from daemons.kit.daemon import MAX_BODY_BYTES
from daemons.kit.database import DatabaseMisconfigured
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.mongo.problems import MONGO_PROBLEMS
from daemons.kit.openapi import ContractRoutes, check_described
from daemons.kit.problems import Problems, problem_middleware
from daemons.kit.seats import NoSeat
from daemons.kit.settings import revealed
from daemons.kit.tasks import Loop, background, every
from protocol.errors import ErrorReason

SERVICE: Final = "fun-ai-studio-deploy"
_DAY_MS: Final = 24 * 3600 * 1000

PROBLEMS: Final[Problems] = {
    **AUTH_PROBLEMS,
    **MONGO_PROBLEMS,
    SameNode: (400, ErrorReason.INVALID_REQUEST),
    JobNotFound: (404, ErrorReason.NOT_FOUND),
    LogRemoved: (404, ErrorReason.LOG_REMOVED),
    NodeNotFound: (404, ErrorReason.NOT_FOUND),
    RunnerNotFound: (404, ErrorReason.NOT_FOUND),
    AppNotPlaced: (404, ErrorReason.NOT_FOUND),
    AppNotFound: (404, ErrorReason.NOT_FOUND),
    AppNotRunning: (404, ErrorReason.NOT_FOUND),
    AppDown: (409, ErrorReason.NOT_RUNNING),
    OperationNotFound: (404, ErrorReason.NOT_FOUND),
    DeliveryNotFound: (404, ErrorReason.NOT_FOUND),
    DeliveryMade: (409, ErrorReason.ILLEGAL_TRANSITION),
    OperationEnded: (409, ErrorReason.ILLEGAL_TRANSITION),
    ReleaseNotFound: (404, ErrorReason.NOT_FOUND),
    NothingToRollBackTo: (404, ErrorReason.NOT_FOUND),
    ImageGone: (409, ErrorReason.IMAGE_GONE),
    ImageMutable: (409, ErrorReason.IMAGE_MUTABLE),
    AppBusy: (409, ErrorReason.APP_BUSY),
    DrainNotFound: (404, ErrorReason.NOT_FOUND),
    DrainLive: (409, ErrorReason.DRAIN_LIVE),
    DrainOver: (409, ErrorReason.ILLEGAL_TRANSITION),
    DoesNotFit: (409, ErrorReason.DRAIN_DOES_NOT_FIT),
    ChangedMeanwhile: (409, ErrorReason.CHANGED),
    IllegalTransition: (409, ErrorReason.ILLEGAL_TRANSITION),
    NotRetryable: (409, ErrorReason.ILLEGAL_TRANSITION),
    IdempotencyMismatch: (409, ErrorReason.IDEMPOTENCY_MISMATCH),
    LeaseLost: (409, ErrorReason.LEASE_LOST),
    TooLate: (409, ErrorReason.TOO_LATE),
    LogGap: (409, ErrorReason.LOG_GAP),
    LogClosed: (409, ErrorReason.LOG_CLOSED),
    LogLater: (409, ErrorReason.LOG_LATER),
    NodeDisabled: (409, ErrorReason.NODE_DISABLED),
    NodeStale: (409, ErrorReason.NODE_STALE),
    NodeInUse: (409, ErrorReason.NODE_IN_USE),
    AgentAddressRefused: (403, ErrorReason.ADDRESS_REFUSED),
    NodeDeleted: (409, ErrorReason.NODE_DELETED),
    NodeFull: (409, ErrorReason.NODE_FULL),
    InventoryRefused: (422, ErrorReason.INVENTORY_REFUSED),
    TooManyOrphans: (409, ErrorReason.TOO_MANY_ORPHANS),
    LogFull: (413, ErrorReason.PAYLOAD_TOO_LARGE),
    NoSeat: (429, ErrorReason.RATE_LIMITED),
    AgentFailed: (502, ErrorReason.PEER_FAILED),
    NotReachable: (502, ErrorReason.PEER_FAILED),
    RegistryFailed: (502, ErrorReason.PEER_FAILED),
    StoreUnavailable: (503, ErrorReason.UNAVAILABLE),
}


class Plane:
    """The services of one control plane, and the loops that drive them."""

    def __init__(
        self,
        settings: DeploySettings,
        store: Store,
        agent: Agent,
        registry: ImageRegistry | None,
        urgent: Store | None = None,
    ) -> None:
        urgent = urgent or store
        policy = _policy(settings)
        self.clock = SystemClock()
        self.singletons = Singletons(urgent, _replica())
        many_orders, many_leases = Fenced(grouped(store)), grouped(urgent)
        self.store, self.urgent = (store := Fenced(store)), urgent
        self.bells = Bells()
        stale_ms, warm_ms = settings.runner_stale_seconds * 1000, int(settings.warm_runner_seconds * 1000)
        self.thresholds = Thresholds(policy, stale_ms, warm_ms)
        self.orders, self.git_hosts = Orders(many_orders, self.bells), settings.git_hosts
        self.queue = JobQueue(store, self.bells)
        self.claims = Claims(store, self.bells, Terms(policy, stale_ms, warm_ms))
        self.leases = Leases(many_leases, self.bells)
        self.logs = Logs(store, self.bells, self.clock)
        self.nodes = NodeRegistry(urgent, self.bells, policy, settings.node_group_seconds, _addresses(settings))
        self.runners = RunnerRegistry(urgent, self.bells, stale_ms)
        self.placements = Placements(store, self.bells, policy)
        place = registry_place(settings)
        self.retention = Retention(store, registry, place)
        self.operations = Operations(store, self.bells)
        patience = Patience(policy, settings.agent_timeout_seconds, self.retention.enabled)
        self.outbox = Outbox(store, agent, self.operations, patience)
        self.removal = NodeRemoval(store, self.bells, self.operations, policy)
        self.apps = Apps(store, self.operations, self.outbox, self.retention)
        self.releases = Releases(store, self.bells, cleans=self.retention.enabled)
        self.rollback = Rollback(store, self.orders, agent, registry, place)
        self._watch(settings)
        rules = FailoverRules(settings.failover_seconds * 1000, settings.failover_nodes)
        self.strays = Strays(self.store, agent, policy)
        self.housekeeping = Housekeeping(self.store, agent, policy)
        self._drain(Holders(agent, policy), rules, policy)
        self._share_out(LogLimits(settings.log_kept_days * _DAY_MS, settings.log_total_mib * 1024**2))

    def _watch(self, settings: DeploySettings) -> None:
        """What reads and what ends."""
        kept_ms = settings.event_retention_days * DAY_MS
        limits = Limits(settings.max_attempts, settings.max_running_seconds, events_kept_ms=kept_ms)
        token = next(iter(revealed(settings.agent_tokens)), None)
        door = AgentDoor(token, _addresses(settings))
        agents = HttpRunningApps(door)
        self.databases = Databases(self.store, self.bells, HttpAppDatabases(door))
        self.running = Running(self.store, agents)
        self.shells = Shells(self.store, self.bells, self.running, agents)
        self.reader = Reader(self.store, self.thresholds)
        self.ways = Ways(self.store, Upstreams(settings.runtime_gateway_port))
        self.feed = Feed(self.store, self.bells, self.clock, self.thresholds)
        self.reaper = Reaper(self.store, self.bells, limits)

    def _share_out(self, kept: LogLimits) -> None:
        """Work that one replica does for all."""
        self.singletons.add("reaper", 1, self.reaper.sweep)
        self.singletons.add("tidy", 300, self.reaper.tidy)
        self.singletons.add("tidy", 60, LogKeeper(self.store, self.bells, kept).step)
        self.singletons.add("retention", 2, self.retention.step)
        self.singletons.add("operations-tidy", 300, self.operations.tidy)

    def tell_of_results(self, receiver: Receiver | None) -> None:
        """What sends the results of jobs to the webhook, if there is one."""
        self.webhooks = Webhooks(self.store, self.bells, receiver)
        if receiver is not None:
            self.singletons.add("webhooks", RESULT_SECONDS, self.webhooks.step)
        self.singletons.add("tidy", 300, self.webhooks.tidy)

    def _drain(self, holders: Holders, rules: FailoverRules, policy: NodePolicy) -> None:
        """Plans that move the apps of a node, and those that are made when one dies."""
        self.drains = Drains(self.store, self.bells, holders, policy)
        steps = DrainSteps(self.store, self.bells, holders, Leftovers(self.operations), policy)
        self.singletons.add("drains", 1, Failover(self.store, self.drains, rules, policy).step)
        self.singletons.add("drains", 1, steps.step)

    def loops(self) -> Sequence[Loop]:
        """What runs beside the requests in every replica; a step that the database refused is tried again."""
        calm = (StoreUnavailable,)
        return (
            self.claims.run,
            self.outbox.run,
            lambda: every(0, self.feed.step, expected=calm),
            lambda: every(1, self.feed.figures, expected=calm),
            lambda: every(1, self.runners.write, expected=calm),
            lambda: every(LOOK_SECONDS, self.logs.watch, expected=calm),
            self.singletons.run,
        )

    async def close(self, _app: web.Application) -> None:
        """Answer everybody who is parked, before the server waits for them."""
        self.bells.close()
        self.claims.close()
        self.feed.close()
        self.running.close()
        await self.shells.close()


async def open_app(settings: DeploySettings) -> web.Application:
    """The control plane over the database that the settings name; it is closed with the application."""
    tokens = revealed(settings.agent_tokens)
    agent = HttpAgent(tokens[0] if tokens else None, settings.agent_timeout_seconds, _addresses(settings))
    async with AsyncExitStack() as stack:
        url, told = settings.db_url.get_secret_value(), settings.webhook_url.get_secret_value()
        store = await stack.enter_async_context(open_store(url, delivers=bool(told)))
        receiver = None
        if told:
            opening = open_receiver(told, revealed(settings.webhook_secrets), SystemClock())
            receiver = await stack.enter_async_context(opening)
        registry = image_registry(settings)
        app = build_app(settings, store=store, urgent=store.urgent, agent=agent, registry=registry, receiver=receiver)
        opened = stack.pop_all()

    async def close(_app: web.Application) -> None:
        await opened.aclose()

    app.on_cleanup.append(close)
    return app


async def promote_database(settings: DeploySettings) -> int:
    """Make the server at the configured address the one that has the history; what a process exits with."""
    try:
        epoch, newest = await promote_store(settings.db_url.get_secret_value())
    except (StoreUnavailable, DatabaseMisconfigured) as error:
        sys.stderr.write(f"the database was not promoted: {error}\n")
        return 1
    sys.stdout.write(f"the database goes on under epoch {epoch}; the newest event it has is {newest}\n")
    return 0


def build_app(
    settings: DeploySettings,
    *,
    store: Store,
    agent: Agent,
    registry: ImageRegistry | None = None,
    urgent: Store | None = None,
    receiver: Receiver | None = None,
) -> web.Application:
    """The control plane over the given parts; `urgent` is the same store for what must not wait behind other work."""
    plane, metrics = Plane(settings, store, agent, registry, urgent), Metrics()
    plane.tell_of_results(receiver)
    access = Access(trusted_proxies=settings.trusted_proxies)
    figures = Figures(metrics.registry, plane.reader, plane.nodes, plane.runners, plane.thresholds, plane.feed)
    metrics.before(figures.refresh)
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS), access.middleware()],
        client_max_size=MAX_BODY_BYTES,
    )
    app[ACCESS] = access
    for table, gates in _routes(plane, metrics, gates_of(settings), tokenless=not settings.runner_enabled):
        app.add_routes(access.routes(table, *gates))
    check_described(app.router)
    app.cleanup_ctx.append(background(*plane.loops()))
    app.on_shutdown.append(plane.close)
    return app


def _routes(
    plane: Plane, metrics: Metrics, gates: Gates, *, tokenless: bool
) -> Sequence[tuple[list[web.RouteDef], tuple[Gate, ...]]]:
    runners = RunnerRoutes(plane.claims, plane.leases, plane.logs, plane.runners, tokenless=tokenless)
    admin = AdminRoutes(
        plane.nodes, plane.runners, plane.placements, plane.reader, plane.feed, plane.thresholds, plane.housekeeping
    )
    replicas = ReplicaRoutes(plane.singletons, metrics.registry)
    metrics.before(replicas.refresh)
    # Who shows both proofs is an operator, by way of the API.
    submitters = (gates.admin, gates.api)
    return (
        (runners.table(), (gates.runner,)),
        (JobRoutes(plane.orders, plane.queue, plane.reader, plane.git_hosts).table(), submitters),
        (LogRoutes(plane.logs).table(), submitters),
        (AppRoutes(plane.apps, Catalogue(plane.store)).table(), submitters),
        (OperationRoutes(plane.operations).table(), submitters),
        (InventoryRoutes(Inventories(plane.store, plane.apps, plane.operations)).table(), submitters),
        (OperationRoutes(plane.operations).admin_table(), (gates.admin,)),
        (ReleaseRoutes(plane.releases, plane.rollback, plane.reader).table(), submitters),
        (NodeRoutes(plane.nodes, plane.leases, KeptImages(plane.store)).table(), (gates.node,)),
        (GatewayRoutes(plane.ways).table(), (gates.gateway,)),
        (admin.table(), (gates.admin,)),
        (NodeRemovalRoutes(plane.removal, plane.thresholds).table(), (gates.admin,)),
        (EventRoutes(plane.feed).table(), (gates.admin,)),
        (AuditRoutes(Audit(plane.store)).table(), (gates.admin,)),
        (RunningRoutes(plane.running).table(), (gates.admin,)),
        (RunningRoutes(plane.running).own_table(), submitters),
        (DatabaseRoutes(plane.databases).table(), submitters),
        (ShellRoutes(plane.shells).table(), (gates.admin,)),
        (replicas.table(), (gates.admin,)),
        (StrayRoutes(plane.strays).table(), (gates.admin,)),
        (DrainRoutes(plane.drains).table(), (gates.admin,)),
        (WebhookRoutes(plane.webhooks).table(), (gates.admin,)),
        (HealthRoutes(SERVICE, plane.clock, {"store": plane.urgent.check}).table(), ()),
        (metrics.table(), ()),
        (ContractRoutes("daemons.deploy").table(), ()),
    )


def _addresses(settings: DeploySettings) -> AgentAddresses:
    return AgentAddresses(settings.agent_networks or PRIVATE, tuple(map(str.lower, settings.agent_names)))


def _policy(settings: DeploySettings) -> NodePolicy:
    return NodePolicy(
        stale_ms=settings.node_stale_seconds * 1000,
        disk_min_pct=settings.disk_min_pct,
        disk_drain_pct=settings.disk_drain_pct,
        disk_aware=settings.placement_strategy == "disk-aware",
        watched=settings.node_enabled,
    )


def _replica() -> str:
    """A name for this process that no other one has, and by which operators find it."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"
