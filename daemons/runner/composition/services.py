"""The services of a runner over what is outside: one value that its life is lived with."""

import logging
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from daemons.kit.health import Check
from daemons.kit.logs import Redactor, spellings
from daemons.kit.metrics import Metrics
from daemons.runner.adapters.aside import OwnThread
from daemons.runner.adapters.leash import Leashes
from daemons.runner.adapters.meter import PrometheusMeter
from daemons.runner.adapters.named_images import NotedBuilder
from daemons.runner.adapters.spools import DiskSpools
from daemons.runner.adapters.workplace import DiskWorkplace
from daemons.runner.composition import outside
from daemons.runner.composition.builders import hidden_words_of, make_builder, make_cache
from daemons.runner.domain.leftovers import Keeping
from daemons.runner.domain.plan import RegistryPolicy
from daemons.runner.domain.watermarks import Watermarks
from daemons.runner.ports import Builder, ControlPlane
from daemons.runner.services.cache import CachedBuilder, LayerCache
from daemons.runner.services.execute import Executor, Holding
from daemons.runner.services.leftovers import Leftovers
from daemons.runner.services.pace import MachinePacer
from daemons.runner.services.presence import Presence, Roster
from daemons.runner.services.steps import Tools
from daemons.runner.services.worker import Worker
from daemons.runner.settings import RunnerSettings

logger = logging.getLogger(__name__)

_NAMED: Final = ".images"


@dataclass(frozen=True, slots=True)
class RunnerParts:
    """What runs: the slots, what is told of this process, the logs and layers of former jobs, and how they are."""

    worker: Worker
    presence: Presence
    leftovers: Leftovers
    cache: LayerCache
    checks: dict[str, Check]


async def compose(
    settings: RunnerSettings, workplace: DiskWorkplace, metrics: Metrics, stack: AsyncExitStack
) -> RunnerParts:
    """Everything, connected; `stack` closes what was opened. Raises NoBuilder."""
    words = spellings((*settings.secret_values(), *await hidden_words_of(settings)))
    builder, kind = await make_builder(settings)
    instance = secrets.token_hex(8)
    logger.info("this process is known by its own id", extra={"runner": settings.runner_id, "instance": instance})
    line = await stack.enter_async_context(outside.line(settings))
    control = outside.control_plane(settings, line, instance)
    pacer, roster = MachinePacer(), Roster()
    disks = await outside.disks(settings, kind)
    presence = Presence(control, disks, _marks(settings), pacer, roster, instance=instance)
    await presence.look()
    cache = await make_cache(settings, builder, metrics.registry)
    noted = NotedBuilder(builder, settings.workdir.absolute() / _NAMED)
    await noted.remove_left()
    spools = outside.spools(settings)
    holding = await _holding(settings, roster, instance, stack)
    meter = PrometheusMeter(metrics.registry, settings.slots)
    tools = _tools(settings, CachedBuilder(noted, cache), pacer, meter)
    executor = _executor(settings, control, tools, (workplace, spools), holding, words)
    return RunnerParts(
        _worker(settings, control, executor, pacer, meter, presence),
        presence,
        Leftovers(spools, control, pacer, Keeping(settings.log_kept_hours * 3600, settings.log_kept_mb * 1024**2)),
        cache,
        {kind: builder.ping, "disk": _room(presence)},
    )


def _executor(
    settings: RunnerSettings,
    control: ControlPlane,
    tools: Tools,
    places: tuple[DiskWorkplace, DiskSpools],
    holding: Holding,
    words: tuple[str, ...],
) -> Executor:
    workplace, spools = places
    return Executor(
        control,
        tools,
        workplace,
        RegistryPolicy(settings.registry, settings.namespace),
        spools=spools,
        log_bytes=settings.log_most_mb * 1024**2,
        lease_seconds=settings.lease_seconds,
        redactor=lambda more: Redactor((*words, *spellings(more)), shapes=True),
        holding=holding,
    )


async def _holding(settings: RunnerSettings, roster: Roster, instance: str, stack: AsyncExitStack) -> Holding:
    """Leases are renewed in a thread of their own, over connections of their own."""
    aside = await stack.enter_async_context(OwnThread("leases"))
    renewals = outside.line(settings)
    stack.push_async_callback(aside.run, renewals.close)
    return Holding(outside.control_plane(settings, renewals, instance), aside, Leashes(), roster)


def _tools(settings: RunnerSettings, builder: Builder, pacer: MachinePacer, meter: PrometheusMeter) -> Tools:
    hosts = outside.app_host(settings, pacer)
    return Tools(outside.repository(settings), builder, hosts, outside.images(settings), pacer, meter)


def _worker(
    settings: RunnerSettings,
    control: ControlPlane,
    executor: Executor,
    pacer: MachinePacer,
    meter: PrometheusMeter,
    presence: Presence,
) -> Worker:
    return Worker(
        control,
        executor,
        pacer,
        meter,
        slots=settings.slots,
        poll_seconds=settings.poll_seconds,
        full=lambda: presence.full,
    )


def _marks(settings: RunnerSettings) -> Watermarks:
    return Watermarks(settings.disk_stop_pct, settings.disk_resume_pct, settings.disk_enough_gb * 1024**3)


def _room(presence: Presence) -> Check:
    async def room() -> None:
        if presence.full is not None:
            raise OSError(presence.full)

    return room
