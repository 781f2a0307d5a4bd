"""What builds: the builder that was asked for, or that works on this machine, and the layers that it keeps."""

import asyncio
import logging
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, TypeVar

import aiodocker
import aiohttp
from prometheus_client import CollectorRegistry

from daemons.kit.clock import SystemClock
from daemons.runner.adapters.buildah import BuildahBuilder, storage_driver
from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.cgroups import Cgroups, Limits
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.enclosure import Enclosure
from daemons.runner.adapters.layer_notes import FileLayerNotes
from daemons.runner.adapters.layers import BuildahLayers, EngineLayers
from daemons.runner.adapters.meter import PrometheusLayerMeter
from daemons.runner.domain.build_secrets import hidden_words
from daemons.runner.domain.builders import BuilderKind, NoBuilder, choose_builder
from daemons.runner.domain.projects import BaseImages
from daemons.runner.domain.room import RoomLine
from daemons.runner.ports import LayerStore, ReadyBuilder
from daemons.runner.services.cache import LayerCache
from daemons.runner.services.pace import MachinePacer
from daemons.runner.settings import RunnerSettings, TemplateSettings

logger = logging.getLogger(__name__)

_PROBE_SECONDS: Final = 10.0
T = TypeVar("T")


async def make_builder(settings: RunnerSettings) -> tuple[ReadyBuilder, str]:
    """The builder and its name; the log says why this one. Raises NoBuilder."""
    parts = (_account(settings), _policy(settings), _contexts(settings))
    engine = EngineBuilder(settings.docker_host, *parts, plain_http=settings.plain_http)
    storage = settings.workdir.absolute() / ".buildah"
    problems: dict[BuilderKind, str | None] = dict.fromkeys((BuilderKind.ENGINE, BuilderKind.BUILDAH))
    driver: str | None = None
    if settings.builder == "auto":
        _, problems[BuilderKind.ENGINE] = await _probe(engine.ping())
    if settings.registry and (settings.builder == "buildah" or problems[BuilderKind.ENGINE] is not None):
        driver, problems[BuilderKind.BUILDAH] = await _probe(storage_driver(Enclosure(storage, None)))
    chosen = choose_builder(BuilderKind(settings.builder), problems, registry=settings.registry)
    logger.info("images are built by %s", chosen.kind.value, extra={"why": chosen.why, "storage": driver})
    if chosen.kind is BuilderKind.ENGINE or driver is None:
        if settings.build_secrets:
            logger.warning(
                "RUNNER_BUILD_SECRETS is of no use: the engine's builder cannot hand secrets to instructions"
            )
        return engine, BuilderKind.ENGINE.value
    return await _buildah(settings, storage, driver), chosen.kind.value


async def make_cache(settings: RunnerSettings, builder: ReadyBuilder, registry: CollectorRegistry) -> LayerCache:
    """The layers that the builder keeps."""
    workdir = settings.workdir.absolute()
    store: LayerStore = EngineLayers(settings.docker_host)
    if isinstance(builder, BuildahBuilder):
        store = BuildahLayers(builder, workdir)
    notes = await asyncio.to_thread(FileLayerNotes, workdir / ".layers")
    line = RoomLine(settings.cache_tidy_pct, settings.cache_enough_gb * 1024**3)
    return LayerCache(store, notes, line, PrometheusLayerMeter(registry), MachinePacer(), _now)


def _now() -> float:
    return SystemClock().now().timestamp()


async def hidden_words_of(settings: RunnerSettings) -> tuple[str, ...]:
    """What logs must not show of the build secrets. Raises NoBuilder when one cannot be read."""
    words: list[str] = []
    for name, path in settings.secret_files.items():
        try:
            words += hidden_words(await asyncio.to_thread(path.read_text, "utf-8", "replace"))
        except OSError as error:
            raise NoBuilder(
                f"the build secret {name} cannot be read: {error.strerror}. See RUNNER_BUILD_SECRETS"
            ) from None
    return tuple(words)


def template_images(settings: TemplateSettings) -> BaseImages:
    """What templates stand on."""
    return BaseImages(settings.template_node_image, settings.python_image, settings.go_image, settings.static_image)


def _contexts(settings: RunnerSettings) -> Contexts:
    return Contexts(template_images(settings), settings.build_arguments)


async def _buildah(settings: RunnerSettings, storage: Path, driver: str) -> BuildahBuilder:
    limits = Limits(settings.build_memory_bytes, settings.build_cpus, settings.build_processes)
    cgroups = Cgroups(limits, owner=str(storage))
    unbounded = await cgroups.problem()
    if unbounded:
        logger.warning("builds are not bounded in memory, processors and processes", extra={"why": unbounded})
    enclosure = Enclosure(storage, None if unbounded else cgroups)
    builder = BuildahBuilder(
        enclosure,
        _account(settings),
        _policy(settings),
        _contexts(settings),
        driver=driver,
        plain_http=settings.plain_http,
    )
    try:
        await builder.prepare()
    except OSError as error:
        raise NoBuilder(f"the storage of buildah in RUNNER_WORKDIR cannot be used: {error}") from None
    return builder


def _account(settings: RunnerSettings) -> RegistryAccount:
    return RegistryAccount(settings.registry, settings.username, settings.password)


def _policy(settings: RunnerSettings) -> BuildPolicy:
    return BuildPolicy(
        settings.pull,
        settings.build_arguments,
        memory_bytes=settings.build_memory_bytes,
        cpus=settings.build_cpus,
        seconds=settings.build_seconds,
        network=settings.build_network != "none",
        secrets=settings.secret_files,
    )


async def _probe(work: Awaitable[T]) -> tuple[T | None, str | None]:
    """What a probe found, or why it failed."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await work, None
    except TimeoutError:
        return None, f"no answer within {_PROBE_SECONDS:g} s"
    except (OSError, ValueError, aiohttp.ClientError, aiodocker.DockerError) as error:
        return None, str(error) or type(error).__name__
