"""Bare mirrors of repositories, kept from job to job so that a fetch transfers only what is new.

A mirror is a cache: it may vanish at any moment, and a broken one is thrown away and made anew. Each has a folder of
its own, which is locked while it is used. The lock belongs to the open folder, and the git processes inherit it: it
stays until the last of them is gone, even when the runner that started them was killed. What a killed git leaves, its
lock files and half a pack, is cleared when the next job gets the lock.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.kit.tasks import shielded

logger = logging.getLogger(__name__)

_REPOSITORY: Final = "mirror.git"
_FIRST_PAUSE_SECONDS: Final = 0.02
_MOST_PAUSE_SECONDS: Final = 0.5
_LOCK_SECONDS: Final = 5.0
#: Each fetch adds a pack, a kept reference and perhaps a shallow commit. Starting over now and then keeps all of them
#: few and costs one whole shallow fetch in so many.
_MOST_PACKS: Final = 40


class MirrorBusy(Exception):
    """Another job held the mirror for too long."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror that is ours for now: `lock` is the descriptor that the processes working in it inherit."""

    path: Path
    lock: int | None
    fresh: bool


class Mirrors:
    """The mirrors below one folder, at most `most_bytes` of them between two jobs; the oldest go first."""

    def __init__(self, root: Path, most_bytes: int) -> None:
        self._root = root
        self._most_bytes = most_bytes
        #: Of each mirror that did not change since: when it was used last, and its size in bytes.
        self._sizes: dict[Path, tuple[float, int]] = {}

    @contextlib.asynccontextmanager
    async def held(self, url: str, patience_seconds: float) -> AsyncIterator[Mirror]:
        """The repository's mirror, for the length of the block; its folder is empty when it is `fresh`.

        Raises MirrorBusy when another holds it for all the seconds, OSError when the folder cannot be used.
        """
        place = self._root / hashlib.sha256(url.encode()).hexdigest()[:32]
        lock = await _locked(place, patience_seconds)
        try:
            fresh = await asyncio.to_thread(_ready, place / _REPOSITORY)
            yield Mirror(place / _REPOSITORY, lock, fresh)
            await asyncio.to_thread(_used, place)
        finally:
            os.close(lock)

    async def tidy(self) -> None:
        """Remove the mirrors used longest ago until the rest fits; those in use stay."""
        try:
            self._sizes = await asyncio.to_thread(_tidy, self._root, self._most_bytes, self._sizes)
        except OSError as error:
            logger.warning("the git mirrors could not be tidied", extra={"error": str(error)})


async def forget(mirror: Mirror) -> bool:
    """Remove a mirror that turned out to be broken; its lock stays. False when that is not possible."""
    try:
        await asyncio.to_thread(shutil.rmtree, mirror.path)
    except OSError as error:
        logger.warning("a git mirror cannot be removed", extra={"path": str(mirror.path), "error": str(error)})
        return False
    return True


def largest_pack(repository: Path) -> int:
    """The size of the largest pack, whole or half, in bytes."""
    return max((path.lstat().st_size for path in (repository / "objects" / "pack").glob("*pack*")), default=0)


async def _locked(place: Path, patience_seconds: float) -> int:
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + patience_seconds, _FIRST_PAUSE_SECONDS
    held: list[int] = []

    async def attempt() -> None:
        lock = await asyncio.to_thread(_try_lock, place)
        if lock is not None:
            held.append(lock)

    try:
        while True:
            # A thread that got the lock for a caller who is gone must not keep it.
            await shielded(attempt(), seconds=_LOCK_SECONDS)
            if held:
                return held.pop()
            if loop.time() >= until:
                raise MirrorBusy("another job uses the mirror of that repository")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MOST_PAUSE_SECONDS)
    finally:
        for lock in held:
            os.close(lock)


def _try_lock(place: Path) -> int | None:
    """The lock's descriptor; None while somebody else has it, or removed the folder as we came."""
    place.mkdir(parents=True, mode=0o700, exist_ok=True)
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    ours = False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.fstat(lock).st_ino == place.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if not ours:
            os.close(lock)
    return lock if ours else None


def _ready(repository: Path) -> bool:
    """Clear what a killed git left; whether the mirror has to be made first."""
    if not (repository / "HEAD").is_file() or len(list((repository / "objects" / "pack").glob("*.pack"))) > _MOST_PACKS:
        if repository.exists():
            shutil.rmtree(repository)
        repository.mkdir(parents=True)
        return True
    for path in _leavings(repository):
        path.unlink(missing_ok=True)
    return False


def _leavings(repository: Path) -> Iterator[Path]:
    yield from repository.glob("*.lock")
    yield from (repository / "refs").rglob("*.lock")
    yield from (repository / "objects").rglob("tmp_*")


def _used(place: Path) -> None:
    os.utime(place)


Sizes = Mapping[Path, tuple[float, int]]


def _tidy(root: Path, most_bytes: int, known: Sizes) -> dict[Path, tuple[float, int]]:
    """What is left, and how large it is; `known` are those that need not be looked through again."""
    sizes = _sizes(root, known)
    total = sum(size for _, size in sizes.values())
    for path, (_, size) in sorted(sizes.items(), key=lambda item: item[1][0]):
        if total <= most_bytes:
            break
        lock = _try_lock(path)
        if lock is None:
            continue
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
        total -= size
        del sizes[path]
        logger.info("a git mirror was removed", extra={"bytes": size, "bytes_left": total})
    return sizes


def _sizes(root: Path, known: Sizes) -> dict[Path, tuple[float, int]]:
    if not root.is_dir():
        return {}
    used = {path: path.stat().st_mtime for path in root.iterdir() if path.is_dir() and not path.is_symlink()}
    before = {path: known.get(path, (0.0, 0)) for path in used}
    return {path: before[path] if before[path][0] == at else (at, _size(path)) for path, at in used.items()}


def _size(path: Path) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - os.walk speaks strings
    return total
