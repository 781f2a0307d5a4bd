"""Where each builder keeps its layers: the engine's images, buildah's storage."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiodocker
import aiohttp
import orjson

from daemons.runner.adapters.buildah import KEPT, BuildahBuilder
from daemons.runner.domain.layers import Layer
from daemons.runner.domain.room import Room
from daemons.runner.ports import NoLayers

logger = logging.getLogger(__name__)

_ROOT_SECONDS: Final = 60.0
_CALL_SECONDS: Final = 60.0
_NONE: Final = "<none>"


class EngineLayers:
    """Images of one engine, which is others' too. Its disk can be looked at only where it is on this machine."""

    def __init__(self, docker_host: str) -> None:
        self._docker_host = docker_host
        self._folder: Path | None = None
        self._asked = 0.0

    async def room(self) -> Room:
        """Of the file system with the engine's data. Where that is, the engine is asked once a minute."""
        if urlsplit(self._docker_host).scheme != "unix":
            raise NoLayers("the engine is on another machine, whose disk cannot be looked at from here")
        if self._folder is None or time.monotonic() - self._asked > _ROOT_SECONDS:
            async with self._calling() as docker:
                self._folder = Path(str((await docker.system.info())["DockerRootDir"]))
            self._asked = time.monotonic()
        return await room(self._folder)

    async def layers(self) -> Sequence[Layer]:
        """All images, those without names among them."""
        async with self._calling() as docker:
            return [_layer(item) for item in await docker.images.list(all=1)]

    async def drop(self, ids: Sequence[str]) -> None:
        """Never by force, and never what they stand on: the engine refuses what a container or an image needs."""
        async with self._calling() as docker:
            for each in ids:
                try:
                    await docker.images.delete(each, noprune=True)
                except aiodocker.DockerError as error:
                    if error.status not in (404, 409):
                        raise
                    logger.info("a layer stays", extra={"layer": each, "why": error.message})

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[aiodocker.Docker]:
        try:
            async with asyncio.timeout(_CALL_SECONDS), aiodocker.Docker(url=self._docker_host) as docker:
                yield docker
        except TimeoutError:
            raise NoLayers(f"the engine did not answer within {_CALL_SECONDS:g} s") from None
        except (aiodocker.DockerError, aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
            raise NoLayers(f"the engine does not answer as it should: {error}") from error


class BuildahLayers:
    """The storage of a builder, which is this runner's alone."""

    def __init__(self, builder: BuildahBuilder, folder: Path) -> None:
        self._builder = builder
        self._folder = folder

    async def room(self) -> Room:
        """Of the file system with the storage."""
        return await room(self._folder)

    async def layers(self) -> Sequence[Layer]:
        """All images; what they stand on is not told."""
        try:
            return [_kept(item) for item in orjson.loads(await self._builder.images() or "[]") or []]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoLayers(f"buildah does not list its images: {error}") from error

    async def drop(self, ids: Sequence[str]) -> None:
        """Buildah removes what nothing else stands on with what stood on it, and passes over what is in use."""
        try:
            await self._builder.drop(ids)
        except OSError as error:
            raise NoLayers(f"buildah could not be run: {error}") from error


async def room(folder: Path) -> Room:
    """Of the file system that a folder is on. Raises NoLayers."""
    try:
        found = await asyncio.to_thread(os.statvfs, folder)
    except OSError as error:
        raise NoLayers(f"{folder} cannot be measured: {error.strerror}") from error
    return Room(
        free_bytes=found.f_bavail * found.f_frsize,
        usable_bytes=(found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize,
        inodes_free=found.f_favail if found.f_files else None,
        inodes_total=found.f_files or None,
    )


def _layer(item: Mapping[str, Any]) -> Layer:
    names = [*(item.get("RepoTags") or ()), *(item.get("RepoDigests") or ())]
    return Layer(
        str(item["Id"]),
        int(item["Created"]),
        str(item.get("ParentId") or ""),
        named=any(not str(name).startswith(_NONE) for name in names),
    )


def _kept(item: Mapping[str, Any]) -> Layer:
    names = item.get("names") or ()
    named = any(not str(name).startswith(f"{KEPT}/") for name in names)
    return Layer(str(item["id"]), int(item["created"]), named=named, own=True)
