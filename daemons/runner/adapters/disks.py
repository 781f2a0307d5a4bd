"""How full the file systems are that builds fill: the work folder's, and the engine's where it is on this machine."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import aiodocker
import aiohttp

from daemons.runner.domain.watermarks import Disk

_ASK_SECONDS = 5.0


class MachineDisks:
    """The port `Disks`, over folders by what is kept in them."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    async def look(self) -> tuple[Disk, ...]:
        """Each file system once, by the first folder on it."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> tuple[Disk, ...]:
        found: dict[int, Disk] = {}
        for place, folder in self._folders.items():
            try:
                device, figures = folder.stat().st_dev, os.statvfs(folder)
            except OSError:
                continue
            free, total = figures.f_bavail * figures.f_frsize, figures.f_blocks * figures.f_frsize
            found.setdefault(device, Disk(place, free, total))
        return tuple(found.values())


async def engine_root(docker_host: str) -> Path | None:
    """Where the engine keeps images, if that is a folder of this machine."""
    if not docker_host.startswith("unix://"):
        return None
    try:
        async with asyncio.timeout(_ASK_SECONDS), aiodocker.Docker(url=docker_host) as docker:
            root = Path(str((await docker.system.info())["DockerRootDir"]))
    except (TimeoutError, OSError, KeyError, aiohttp.ClientError, aiodocker.DockerError):
        return None
    return root if await asyncio.to_thread(root.is_dir) else None
