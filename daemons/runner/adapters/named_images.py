"""Notes which images a builder names, so that those of a runner that was killed are removed at the next start.

Images for a registry only: they are never needed here once they are pushed. Without a registry they are the node's, and
its agent removes them.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import orjson

from daemons.runner.ports import BuildOrder, LogSink, ReadyBuilder
from protocol.names import image_registry

logger = logging.getLogger(__name__)


class NotedBuilder:
    """A builder whose names are noted, each build's in a file of its own, for as long as they are there."""

    def __init__(self, builder: ReadyBuilder, folder: Path) -> None:
        self._builder = builder
        self._folder = folder

    async def remove_left(self) -> None:
        """Remove the images that a killed runner left, and the notes. Failures are logged, never raised."""
        for note in await asyncio.to_thread(_notes, self._folder):
            names = await asyncio.to_thread(_names, note)
            if names:
                logger.info("removing the image of an attempt that was killed", extra={"images": names})
                await self._builder.remove(names)
            await asyncio.to_thread(note.unlink, missing_ok=True)

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build, noted before. Raises WorkFailed, and OSError when no note can be written."""
        if image_registry(order.names.immutable) is not None:
            await asyncio.to_thread(_write, self._note(order.names.all), order.names.all)
        await self._builder.build(order, log)

    async def push(self, image: str, log: LogSink) -> str:
        """As the builder does."""
        return await self._builder.push(image, log)

    async def remove(self, images: Sequence[str]) -> None:
        """As the builder does; then there is nothing to note."""
        await self._builder.remove(images)
        await asyncio.to_thread(self._note(images).unlink, missing_ok=True)

    async def ping(self) -> None:
        """As the builder does."""
        await self._builder.ping()

    def _note(self, images: Sequence[str]) -> Path:
        return self._folder / hashlib.sha256(images[0].encode()).hexdigest()[:32]


def _write(note: Path, names: Sequence[str]) -> None:
    note.parent.mkdir(mode=0o700, exist_ok=True)
    note.write_bytes(orjson.dumps(list(names)))


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _names(note: Path) -> list[str]:
    """Nothing for a note that was half written: then the build had not begun."""
    try:
        names = orjson.loads(note.read_bytes())
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
