"""Puts the builder together that was asked for, or that works on this machine."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, TypeVar

import aiodocker
import aiohttp

from daemons.runner.adapters.buildah import BuildahBuilder, storage_driver
from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.cgroups import Cgroups, Limits
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.enclosure import Enclosure
from daemons.runner.domain.builders import BuilderKind, NoBuilder, choose_builder
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import ReadyBuilder
from daemons.runner.settings import RunnerSettings, TemplateSettings

logger = logging.getLogger(__name__)

_PROBE_SECONDS: Final = 10.0
T = TypeVar("T")


async def make_builder(settings: RunnerSettings) -> tuple[ReadyBuilder, str]:
    """The builder and its name; the log says why this one. Raises NoBuilder."""
    engine = EngineBuilder(
        settings.docker_host, _account(settings), _policy(settings), Contexts(template_images(settings))
    )
    limits = Limits(settings.build_memory_bytes, settings.build_cpus, settings.build_processes)
    unbounded = await Cgroups(limits).problem()
    enclosure = Enclosure(settings.workdir.absolute() / ".buildah", None if unbounded else Cgroups(limits))
    problems: dict[BuilderKind, str | None] = dict.fromkeys((BuilderKind.ENGINE, BuilderKind.BUILDAH))
    driver: str | None = None
    if settings.builder == "auto":
        _, problems[BuilderKind.ENGINE] = await _probe(engine.ping())
    if settings.builder == "buildah" or problems[BuilderKind.ENGINE] is not None:
        driver, problems[BuilderKind.BUILDAH] = await _probe(storage_driver(enclosure))
    chosen = choose_builder(BuilderKind(settings.builder), problems, registry=settings.registry)
    logger.info("images are built by %s", chosen.kind.value, extra={"why": chosen.why, "storage": driver})
    if chosen.kind is BuilderKind.ENGINE or driver is None:
        return engine, BuilderKind.ENGINE.value
    if unbounded:
        logger.warning("builds are not bounded in memory, processors and processes", extra={"why": unbounded})
    return await _buildah(settings, enclosure, driver), chosen.kind.value


def template_images(settings: TemplateSettings) -> BaseImages:
    """What templates stand on."""
    return BaseImages(settings.template_node_image, settings.python_image, settings.go_image, settings.static_image)


async def _buildah(settings: RunnerSettings, enclosure: Enclosure, driver: str) -> BuildahBuilder:
    contexts = Contexts(template_images(settings))
    builder = BuildahBuilder(
        enclosure, _account(settings), _policy(settings), contexts, driver=driver, plain_http=settings.plain_http
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
