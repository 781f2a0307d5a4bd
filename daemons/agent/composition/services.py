"""The agent's services, each made of those before it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from daemons.agent.adapters.meter import PrometheusDiskMeter
from daemons.agent.adapters.node import Machine
from daemons.agent.composition.databases import app_databases
from daemons.agent.composition.outside import Parts
from daemons.agent.domain.containers import Limits
from daemons.agent.domain.disk import Line, Watermarks
from daemons.agent.domain.shell import Bounds
from daemons.agent.domain.visitors import Patience
from daemons.agent.services.apps import Apps
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.heartbeat import Heartbeat
from daemons.agent.services.isolation import Keeper
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.notices import Notices
from daemons.agent.services.output import AppOutput
from daemons.agent.services.recovery import Recovery
from daemons.agent.services.restoration import Restoration
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.rollout import Policy, Rollout
from daemons.agent.services.room import Room
from daemons.agent.services.selfview import SelfView
from daemons.agent.services.shells import Shells
from daemons.agent.services.startup import Startup
from daemons.agent.services.usage import AppUsage
from daemons.agent.services.vigil import Vigil
from daemons.agent.services.visits import Visits
from daemons.agent.services.warming import Warming
from daemons.agent.settings import AgentSettings
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.metrics import Metrics
from daemons.kit.mongo.keeping import AppDatabases

#: Callers of a stop give up after ten seconds, so it waits less long for requests in flight than a switch does.
_STOP_DRAIN_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    ledger: Ledger
    recovery: Recovery
    retirement: Retirement
    rollout: Rollout
    apps: Apps
    vigil: Vigil
    databases: AppDatabases | None
    keeper: Keeper
    watch: DiskWatch
    collector: Collector
    heartbeat: Heartbeat
    visits: Visits
    output: AppOutput
    usage: AppUsage
    shells: Shells
    warming: Warming


def make_services(settings: AgentSettings, parts: Parts, metrics: Metrics) -> Services:
    """Over any parts."""
    ledger, databases = Ledger(parts.states), app_databases(settings, parts.database)
    watch, collector, room = _disk(settings, parts, ledger, metrics)
    # The heartbeat tells what the vigil sees, and the vigil hurries the heartbeat.
    view = SelfView(parts.engine, watch, collector, Machine(), parts.versions, lambda running: vigil.unwell(running))
    heartbeat = Heartbeat(parts.control_plane, view.report, settings.heartbeat_seconds)
    watch.tell(heartbeat.soon)
    collector.tell(heartbeat.soon)

    now, policy = _seconds(parts.clock), _policy(settings)
    engine, gateway, plane, log = parts.engine, parts.gateway, parts.control_plane, parts.access_log
    patience = Patience(settings.drain_seconds, settings.stream_drain_seconds)
    retirement = Retirement(engine, gateway, ledger, plane, patience)
    startup = Startup(engine, parts.probe, parts.ports, settings.start_seconds)
    restoration = Restoration(engine, gateway, ledger, retirement, startup)
    changes = (startup, retirement, restoration, room, policy, now, databases)
    recovery = Recovery(engine, gateway, ledger, retirement, now)
    notices = Notices(gateway, ledger)
    watched = (engine, parts.probe, ledger, retirement, restoration, notices)
    vigil = Vigil(*watched, lambda: recovery.done, now, heartbeat.soon)
    apps = Apps(engine, parts.outputs, gateway, ledger, retirement, vigil, _stop_patience(settings), log, databases)
    return Services(
        ledger=ledger,
        recovery=recovery,
        retirement=retirement,
        rollout=Rollout(engine, gateway, ledger, plane, *changes),
        apps=apps,
        vigil=vigil,
        databases=databases,
        keeper=Keeper(engine),
        watch=watch,
        collector=collector,
        heartbeat=heartbeat,
        visits=Visits(ledger, log),
        output=AppOutput(parts.outputs, ledger),
        usage=AppUsage(parts.usages, ledger),
        shells=Shells(parts.terminals, engine, ledger, apps, _bounds(settings), settings.shells),
        warming=Warming(engine, room),
    )


def _seconds(clock: Clock) -> Callable[[], float]:
    return lambda: clock.now().timestamp()


def _disk(settings: AgentSettings, parts: Parts, ledger: Ledger, metrics: Metrics) -> tuple[DiskWatch, Collector, Room]:
    """Who watches the disk, who collects when it fills, and who keeps room for what is pulled."""
    meter = PrometheusDiskMeter(metrics.registry)
    watch = DiskWatch(parts.disk, _watermarks(settings), meter)
    collector = Collector(parts.engine, parts.store, ledger, parts.control_plane, watch, meter, SystemClock())
    return watch, collector, Room(watch, collector, parts.manifests, parts.store, meter, settings.pull_expansion)


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


def _stop_patience(settings: AgentSettings) -> Patience:
    return Patience(min(settings.drain_seconds, _STOP_DRAIN_SECONDS))
