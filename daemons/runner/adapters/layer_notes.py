"""What builds were seen to make, in a file of this runner's: a line for each layer, the later of two counts."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

import orjson

from daemons.runner.domain.layers import Use

logger = logging.getLogger(__name__)

#: So many lines more than layers, and the file is written anew.
_SPARE: Final = 5000


class FileLayerNotes:
    """The file is read when this is made. A disk that takes no line costs the note of a layer, never a build."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._uses: dict[str, Use] = {}
        self._lines = 0
        for line in _lines(path):
            self._lines += 1
            if (found := _read(line)) is not None:
                self._uses[found[0]] = found[1]

    @property
    def uses(self) -> Mapping[str, Use]:
        """All that is known."""
        return self._uses

    async def add(self, uses: Mapping[str, Use]) -> None:
        """Remember these, in place of what was known of the same layers."""
        new = {each: use for each, use in uses.items() if self._uses.get(each) != use}
        self._uses.update(new)
        self._lines += len(new)
        if self._lines > len(self._uses) + _SPARE:
            await self.keep(tuple(self._uses))
        elif new:
            await self._write(new.items(), "ab", self._path)

    async def keep(self, keys: Collection[str]) -> None:
        """Forget all but these."""
        wanted = frozenset(keys)
        self._uses = {each: use for each, use in self._uses.items() if each in wanted}
        self._lines = len(self._uses)
        beside = self._path.with_name(f"{self._path.name}.new")
        await self._write(self._uses.items(), "wb", beside)

    async def _write(self, items: Iterable[tuple[str, Use]], mode: str, path: Path) -> None:
        data = b"".join(orjson.dumps([each, use.app_id, use.first, use.last]) + b"\n" for each, use in items)
        try:
            await asyncio.to_thread(_put, path, mode, data, self._path)
        except OSError as error:
            logger.warning("what a build made could not be noted", extra={"path": str(path), "error": str(error)})


def _put(path: Path, mode: str, data: bytes, target: Path) -> None:
    with path.open(mode) as file:
        file.write(data)
    if path != target:
        path.replace(target)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []


def _read(line: bytes) -> tuple[str, Use] | None:
    """None for a line that a crash cut off."""
    try:
        each, app_id, first, last = orjson.loads(line)
        return str(each), Use(str(app_id), float(first), float(last))
    except (ValueError, TypeError):
        return None
