"""What lies in the Docker Engine's data folder, and the files of it that may be touched: the logs of our containers.

A log is emptied in place: the engine opens it for appending (moby, `daemon/logger/loggerutils/logfile.go`), so what it
writes next lands at the start. That needs an agent with access to the engine's data folder; one without sees no logs.
"""

import asyncio
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.agent.adapters.docker import DockerEngine
from daemons.agent.domain.collection import ContainerLog
from daemons.kit.engine.errors import EngineError

_FILE: Final = "-json.log"


class DockerStore:
    """The port `Store`. Lists of layers are remembered by image id: an image never changes."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine
        self._layers: Mapping[str, tuple[str, ...]] = {}

    async def layer_lists(self) -> Sequence[Sequence[str]]:
        """Raises EngineError."""
        ids = {image.image_id for image in await self._engine.images()}
        new = await self._engine.layers(ids - self._layers.keys())
        self._layers = {
            image_id: layers for image_id, layers in (dict(self._layers) | dict(new)).items() if image_id in ids
        }
        return list(self._layers.values())

    async def images_in_use(self) -> frozenset[str]:
        """Raises EngineError."""
        return await self._engine.images_in_use()

    async def container_logs(self) -> Sequence[ContainerLog]:
        """Raises EngineError."""
        logs = []
        for own in await self._engine.own():
            path = _log_path(*await self._engine.log_file(own.name))
            size = await asyncio.to_thread(_size, path) if path is not None else None
            if path is not None and size is not None:
                logs.append(ContainerLog(own.name, str(path), size))
        return logs

    async def cut_log(self, log: ContainerLog) -> None:
        """Raises EngineError."""
        try:
            await asyncio.to_thread(_empty, Path(log.path))
        except OSError as error:
            raise EngineError(f"the log of {log.container} cannot be emptied: {error.strerror or error}") from error


def _log_path(container_id: str, text: str) -> Path | None:
    """The engine's own file for the container; nothing that only looks like one."""
    path = Path(text)
    named = container_id and path.name == f"{container_id}{_FILE}" and path.parent.name == container_id
    return path if path.is_absolute() and named else None


def _size(path: Path) -> int | None:
    """None when the log cannot be seen, or is no plain file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _empty(path: Path) -> None:
    """Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(file, 0)
    finally:
        os.close(file)
