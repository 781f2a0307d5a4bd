"""The access file: written by the API, read here again whenever it was replaced.

A missing file admits nobody. A broken one changes nothing: the last good content stays in force and the log says so.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.git.domain.access import Grant, Holder, Level
from protocol.api import GitAccess, GitAccessFile, GitKey

logger = logging.getLogger(__name__)

_LEVELS: Final[Mapping[GitAccess, Level]] = {GitAccess.READ: Level.READ, GitAccess.WRITE: Level.WRITE}
_MOST_BYTES: Final = 64 * 1024 * 1024
Stamp = tuple[int, int, int]


class FileAccessBook:
    """The access file as a lookup table."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._holders: Mapping[str, Holder] = {}
        self._reading = asyncio.Lock()

    async def holder(self, fingerprint: str) -> Holder | None:
        """Whoever holds the key, by the file as it is now."""
        async with self._reading:
            await self._refresh()
        return self._holders.get(fingerprint)

    async def _refresh(self) -> None:
        try:
            stamp, content = await asyncio.to_thread(_changed, self._path, self._stamp)
        except FileNotFoundError:
            self._stamp, self._holders = None, {}
            return
        except OSError as error:
            logger.error(  # noqa: TRY400 - the cause is in the message
                "the access file cannot be read; the keys known so far stay in force",
                extra={"path": str(self._path), "error": str(error)},
            )
            return
        if content is None:
            return
        self._stamp = stamp
        try:
            self._holders = _holders(GitAccessFile.model_validate_json(content).keys)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            logger.error(  # noqa: TRY400 - the values of the file stay out of the log
                "the access file is broken and was ignored; the keys known so far stay in force",
                extra={
                    "path": str(self._path),
                    "place": ".".join(str(part) for part in problem["loc"]),
                    "error": problem["msg"],
                },
            )


def _changed(path: Path, known: Stamp | None) -> tuple[Stamp, bytes | None]:
    """The file's stamp, and its content when the stamp is not the known one."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        return stamp, None if stamp == known else file.read(_MOST_BYTES)


def _holders(keys: tuple[GitKey, ...]) -> Mapping[str, Holder]:
    """One holder per fingerprint; a key that is listed twice has the rights of both lines."""
    holders: dict[str, Holder] = {}
    for key in keys:
        held, before = holder_of(key), holders.get(key.fingerprint)
        holders[key.fingerprint] = Holder(held.principal, (before.grants if before else ()) + held.grants)
    return holders


def holder_of(key: GitKey) -> Holder:
    """What one line says."""
    return Holder(key.principal, tuple(Grant(grant.repository, _LEVELS[grant.access]) for grant in key.grants))
