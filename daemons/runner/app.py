"""Composition root of the runner, and its life: claim until a signal, let jobs finish, go."""

import asyncio
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

from daemons.kit.clock import SystemClock
from daemons.kit.daemon import EX_CONFIG
from daemons.kit.health import Check, HealthRoutes
from daemons.kit.logs import Redactor, spellings
from daemons.kit.metrics import Metrics
from daemons.kit.problems import problem_middleware
from daemons.kit.settings import revealed
from daemons.kit.tasks import running
from daemons.runner.adapters.app_host import HttpAppHost
from daemons.runner.adapters.aside import OwnThread
from daemons.runner.adapters.control_plane import HttpControlPlane
from daemons.runner.adapters.disks import MachineDisks, engine_root
from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.adapters.leash import Leashes
from daemons.runner.adapters.meter import PrometheusMeter
from daemons.runner.adapters.named_images import NotedBuilder
from daemons.runner.adapters.project_files import init
from daemons.runner.adapters.registry import OciImages
from daemons.runner.adapters.spools import DiskSpools
from daemons.runner.adapters.workplace import DiskWorkplace
from daemons.runner.composition import hidden_words_of, make_builder, make_cache, template_images
from daemons.runner.domain.builders import BuilderKind, NoBuilder
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.leftovers import Keeping
from daemons.runner.domain.plan import RegistryPolicy
from daemons.runner.domain.tree import TreeLimits
from daemons.runner.domain.watermarks import Watermarks
from daemons.runner.ports import NoFolder, ReadyBuilder
from daemons.runner.services.cache import CachedBuilder
from daemons.runner.services.execute import Executor, Holding
from daemons.runner.services.leftovers import Leftovers
from daemons.runner.services.pace import MachinePacer
from daemons.runner.services.presence import Presence, Roster
from daemons.runner.services.steps import Tools
from daemons.runner.services.worker import Worker
from daemons.runner.settings import RunnerSettings, TemplateSettings
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.headers import RUNNER_TOKEN

logger = logging.getLogger(__name__)

_SERVICE: Final = "fun-ai-studio-runner"
_MIRRORS: Final = ".mirrors"
_NAMED: Final = ".images"
_MOST_FILES: Final = 200_000
_LOGS: Final = ".logs"
_LOGS_SECONDS: Final = 5.0


def run(settings: RunnerSettings) -> None:
    """Run until a signal. SIGTERM or SIGINT: no more claims, running jobs finish; a second one hands
    them back."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(_live(settings))
    except _CannotStart as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EX_CONFIG) from None


def write_template(folder: Path, settings: TemplateSettings) -> None:
    """Write a Dockerfile and a `.dockerignore` for the project in a folder and say so; ends with 1 when none fits."""
    try:
        lines = init(folder, template_images(settings))
    except WorkFailed as error:
        raise SystemExit(f"funai: {error.text}\n{error.advice or ''}".rstrip()) from None
    except OSError as error:
        raise SystemExit(f"funai: {folder}: {error.strerror or error}") from None
    sys.stdout.write("".join(f"{line}\n" for line in lines))


class _CannotStart(Exception):
    """Something that must be mended by hand."""


async def _live(settings: RunnerSettings) -> None:
    workplace = DiskWorkplace(settings.workdir.absolute())
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(workplace.owned())
        except NoFolder as error:
            raise _CannotStart(f"the runner cannot start: {error}. Set RUNNER_WORKDIR.") from None
        token = revealed(settings.runner_token)[0]
        transport = await stack.enter_async_context(Transport(settings.deploy_url, {RUNNER_TOKEN: token}))
        metrics = Metrics()
        try:
            hidden = await hidden_words_of(settings)
            builder, kind = await make_builder(settings)
        except NoBuilder as error:
            raise _CannotStart(f"the runner cannot start: {error}. Mend that or change RUNNER_BUILDER.") from None
        instance = secrets.token_hex(8)
        logger.info("this process is known by its own id", extra={"runner": settings.runner_id, "instance": instance})
        aside = await stack.enter_async_context(OwnThread("leases"))
        renewals = Transport(settings.deploy_url, {RUNNER_TOKEN: token})
        stack.push_async_callback(aside.run, renewals.close)
        control = _control(settings, RunnerClient(transport), instance)
        pacer, roster = MachinePacer(), Roster()
        disks = await _disks(settings, kind)
        presence = Presence(control, disks, _marks(settings), pacer, roster, instance=instance)
        await presence.look()
        holding = Holding(_control(settings, RunnerClient(renewals), instance), aside, Leashes(), roster)
        spools = DiskSpools(settings.workdir.absolute() / _LOGS, settings.runner_id, SystemClock())
        leftovers = Leftovers(spools, control, pacer, _keeping(settings))
        cache = await make_cache(settings, builder, metrics.registry)
        noted = NotedBuilder(builder, settings.workdir.absolute() / _NAMED)
        await noted.remove_left()
        cached = CachedBuilder(noted, cache)
        worker = _worker(settings, control, cached, (workplace, spools), metrics, hidden, holding, presence)
        checks = {kind: builder.ping, "disk": _room(presence)}
        await stack.enter_async_context(_Site(settings, _application(settings, worker, checks, metrics)))
        await leftovers.deliver(_LOGS_SECONDS)
        async with running(leftovers.run, cache.run):
            await _until_stopped(worker, presence, settings.drain_seconds)
        await leftovers.deliver(_LOGS_SECONDS)


def _worker(
    settings: RunnerSettings,
    control: HttpControlPlane,
    builder: ReadyBuilder,
    places: tuple[DiskWorkplace, DiskSpools],
    metrics: Metrics,
    hidden: tuple[str, ...],
    holding: Holding,
    presence: Presence,
) -> Worker:
    pacer = MachinePacer()
    meter = PrometheusMeter(metrics.registry, settings.slots)
    workplace, spools = places
    hosts = HttpAppHost(revealed(settings.agent_token)[0], pacer)
    hidden_words = spellings((*settings.secret_values(), *hidden))
    executor = Executor(
        control,
        Tools(_repository(settings), builder, hosts, _images(settings), pacer, meter),
        workplace,
        RegistryPolicy(settings.registry, settings.namespace),
        spools=spools,
        log_bytes=settings.log_most_mb * 1024**2,
        lease_seconds=settings.lease_seconds,
        redactor=lambda more: Redactor((*hidden_words, *spellings(more)), shapes=True),
        holding=holding,
    )
    return Worker(
        control,
        executor,
        pacer,
        meter,
        slots=settings.slots,
        poll_seconds=settings.poll_seconds,
        full=lambda: presence.full,
    )


def _control(settings: RunnerSettings, client: RunnerClient, instance: str) -> HttpControlPlane:
    return HttpControlPlane(
        client,
        runner_id=settings.runner_id,
        lease_seconds=settings.lease_seconds,
        slots=settings.slots,
        labels=settings.labels,
        version=_version(),
        host=socket.gethostname(),
        instance=instance,
    )


def _keeping(settings: RunnerSettings) -> Keeping:
    return Keeping(settings.log_kept_hours * 3600, settings.log_kept_mb * 1024**2)


async def _disks(settings: RunnerSettings, kind: str) -> MachineDisks:
    root = await engine_root(settings.docker_host) if kind == BuilderKind.ENGINE.value else None
    folders = {"RUNNER_WORKDIR": settings.workdir.absolute()} | ({"the engine's data folder": root} if root else {})
    return MachineDisks(folders)


def _marks(settings: RunnerSettings) -> Watermarks:
    return Watermarks(settings.disk_stop_pct, settings.disk_resume_pct, settings.disk_enough_gb * 1024**3)


def _room(presence: Presence) -> Check:
    async def room() -> None:
        if presence.full is not None:
            raise OSError(presence.full)

    return room


def _repository(settings: RunnerSettings) -> GitRepository:
    own = settings.git_own_keys.absolute() if settings.git_own_keys else None
    keys = GitKeys(settings.git_key.absolute(), settings.git_known_hosts.absolute(), own)
    policy = GitPolicy(
        hosts=settings.git_hosts,
        seconds=settings.git_seconds,
        limits=TreeLimits(settings.git_most_mb * 1024**2, _MOST_FILES),
        mirror_bytes=settings.git_cache_mb * 1024**2,
    )
    return GitRepository(keys, settings.workdir.absolute() / _MIRRORS, policy)


def _images(settings: RunnerSettings) -> OciImages:
    login = (settings.username, settings.password) if settings.username else None
    return OciImages(settings.registry, login, settings.plain_http)


def _application(
    settings: RunnerSettings, worker: Worker, builder: Mapping[str, Check], metrics: Metrics
) -> web.Application:
    async def control_plane() -> None:
        if worker.trouble is not None:
            raise ConnectionError(worker.trouble)

    async def keys() -> None:
        for path in (settings.git_key, settings.git_known_hosts):
            if not await asyncio.to_thread(path.is_file):
                raise FileNotFoundError(f"{path} is not there")

    checks = {"control plane": control_plane, **builder, "git keys": keys}
    app = web.Application(middlewares=[metrics.middleware(), problem_middleware({})])
    app.add_routes(HealthRoutes(_SERVICE, SystemClock(), checks).table())
    app.add_routes(metrics.table())
    return app


class _Site:
    """Health and metrics on the runner's port, for the length of the block."""

    def __init__(self, settings: RunnerSettings, app: web.Application) -> None:
        self._settings = settings
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)

    async def __aenter__(self) -> None:
        host, port = self._settings.host, self._settings.port
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise _CannotStart(
                f"the runner cannot listen on {host}:{port}: {error.strerror or error}. "
                "Free the port or choose another with RUNNER_PORT."
            ) from None
        logger.info("listening", extra={"host": host, "port": port, "slots": self._settings.slots})

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def _until_stopped(worker: Worker, presence: Presence, drain_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ended = False
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(presence.run(), name="presence")
        working = group.create_task(worker.run(), name="slots")
        working.add_done_callback(lambda _: telling.cancel())

        def end() -> None:
            nonlocal ended
            if ended:
                return
            ended = True
            if worker.busy:
                logger.warning("stopping with jobs running; they are handed back", extra={"jobs": worker.busy})
            working.cancel()

        def stop() -> None:
            if worker.stopping:
                end()
                return
            logger.info("stopping: no more claims, running jobs finish", extra={"jobs": worker.busy})
            worker.drain()
            presence.stop()
            loop.call_later(drain_seconds, end)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)


def _version() -> str:
    try:
        return version("funai-platform")
    except PackageNotFoundError:
        return "unknown"
