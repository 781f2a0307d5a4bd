"""Work folders on this machine's disk: one for each attempt, removed at its end, leftovers removed at start."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from daemons.runner.ports import NoFolder, WorkFolder

logger = logging.getLogger(__name__)

#: Only folders that carry it are ever removed at start: the root is a setting, and settings can be wrong.
_MARK: Final = ".attempt"
_LOCK: Final = ".runner.lock"


class DiskWorkplace:
    """Folders below one root that is this runner's alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.asynccontextmanager
    async def owned(self) -> AsyncIterator[None]:
        """The root for this process alone, freed of what a killed runner left. Raises NoFolder."""
        try:
            lock = await asyncio.to_thread(_lock, self._root)
        except BlockingIOError:
            raise NoFolder(f"another runner uses the work folder {self._root}; give each its own") from None
        except OSError as error:
            raise NoFolder(f"the work folder {self._root} cannot be used: {error.strerror or error}") from error
        try:
            await asyncio.to_thread(_clear, self._root)
            yield
        finally:
            os.close(lock)

    @contextlib.asynccontextmanager
    async def folder(self, name: str) -> AsyncIterator[WorkFolder]:
        """A fresh folder; `name` is one that `Attempt.folder_name` made."""
        path = self._root / name
        try:
            await asyncio.to_thread(_fresh, path)
        except OSError as error:
            raise NoFolder(f"the work folder {path} cannot be made: {error.strerror or error}") from error
        try:
            yield WorkFolder(path)
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, path))


def _lock(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True)
    lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _clear(root: Path) -> None:
    for path in root.iterdir():
        if not path.is_symlink() and (path / _MARK).is_file():
            _remove(path)


def _fresh(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True, mode=0o700)
    (path / _MARK).touch()


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        logger.warning("a work folder could not be removed", extra={"path": str(path), "error": str(error)})
