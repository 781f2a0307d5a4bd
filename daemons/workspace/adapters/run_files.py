"""What the node reads and removes in users' folders for runs: a name at a time, from a folder that is held open.

A user may put a link, a pipe or a device wherever a file is expected, at any moment: nothing of it is followed, waited
for or read.
"""

import asyncio
import contextlib
import ctypes
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from daemons.workspace.domain.projects import TELLING, Project
from daemons.workspace.ports import HomeError, Homes
from daemons.workspace.ports.runs import LogPart

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES: Final = 1024 * 1024
_DEPTH: Final = 2
_IGNORED: Final = frozenset(
    {"node_modules", ".git", "dist", "build", ".next", "target", ".npm-cache", ".funai", ".venv"}
)
_MOST_FOLDERS: Final = 200
_BLOCK: Final = 64 * 1024
#: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_PUNCH: Final = 0x03

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.restype = ctypes.c_int
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class LocalRunFiles:
    """The ports `ProjectFiles` and `RunLogs` over the users' folders on this machine."""

    def __init__(self, homes: Homes) -> None:
        self._homes = homes

    async def project(self, user_id: str, app_id: str) -> Project | None:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        return await asyncio.to_thread(_project, str(home), app_id)

    async def names(self, user_id: str) -> tuple[str, ...]:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        return await asyncio.to_thread(_names, str(home))

    async def remove(self, user_id: str, names: Sequence[str]) -> None:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        await asyncio.to_thread(_remove, str(home), names)

    async def bound(self, user_id: str, name: str, most: int) -> None:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        await asyncio.to_thread(_bound, str(home), name, most)

    async def empty(self, user_id: str, name: str) -> None:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        await asyncio.to_thread(_empty, str(home), name)

    async def read(self, user_id: str, name: str, offset: int, most: int) -> LogPart | None:
        """Raises HomeError."""
        home = await self._homes.ready(user_id)
        return await asyncio.to_thread(_read, str(home), name, offset, most)


@contextmanager
def _opened(home: str, *names: str) -> Iterator[int]:
    """A folder below the user's, by its names one after the other. Raises HomeError."""
    handle = os.open(home, _FOLDER)
    try:
        for name in names:
            below = os.open(name, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        yield handle
    except OSError as error:
        raise HomeError(f"{'/'.join(names)} cannot be read: {error.strerror}") from error
    finally:
        os.close(handle)


def _project(home: str, app_id: str) -> Project | None:
    with _opened(home, "apps") as apps:
        try:
            root = os.open(app_id, _FOLDER, dir_fd=apps)
        except OSError:
            return None
    try:
        files = _telling(root)
        if "package.json" in files:
            return Project("", files)
        found = next(_below(root, "", _DEPTH, [_MOST_FOLDERS]), None)
        return found or Project("", files)
    finally:
        os.close(root)


def _below(parent: int, path: str, depth: int, left: list[int]) -> Iterator[Project]:
    """Projects with a package.json in folders below, the shallow ones first."""
    with os.scandir(parent) as entries:
        names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False) and one.name not in _IGNORED)
    folders: list[tuple[int, str]] = []
    try:
        for name in names:
            left[0] -= 1
            if left[0] < 0:
                return
            with contextlib.suppress(OSError):
                folders.append((os.open(name, _FOLDER, dir_fd=parent), f"{path}{name}"))
                files = _telling(folders[-1][0])
                if "package.json" in files:
                    yield Project(folders[-1][1], files)
        if depth > 1:
            for handle, name in folders:
                yield from _below(handle, f"{name}/", depth - 1, left)
    finally:
        for handle, _ in folders:
            os.close(handle)


def _telling(folder: int) -> dict[str, str]:
    found = {}
    for name in TELLING:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            handle = os.open(name, _FILE, dir_fd=folder)
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    found[name] = os.pread(handle, _MOST_BYTES, 0).decode()
            finally:
                os.close(handle)
    return found


def _plain(name: str) -> str:
    """The name, if it is one: never a path. Raises HomeError."""
    if "/" in name or name in ("", ".", ".."):
        raise HomeError("a log's name holds characters that no log has")
    return name


def _names(home: str) -> tuple[str, ...]:
    with _opened(home, "run") as folder, os.scandir(folder) as entries:
        return tuple(one.name for one in entries if one.name.startswith("run-") and one.is_file(follow_symlinks=False))


def _remove(home: str, names: Sequence[str]) -> None:
    with _opened(home, "run") as folder:
        for name in names:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(_plain(name), dir_fd=folder)


def _bound(home: str, name: str, most: int) -> None:
    with _own_log(home, name) as handle:
        if handle is None:
            return
        surplus = os.fstat(handle).st_size - most
        # Whole blocks only: part of one would be zeros that somebody reads.
        if surplus > most // 4 and _fallocate(handle, _PUNCH, 0, surplus - surplus % _BLOCK) != 0:
            number = ctypes.get_errno()
            raise HomeError(f"a log cannot be bounded: {os.strerror(number)}")


def _empty(home: str, name: str) -> None:
    with _own_log(home, name) as handle:
        if handle is not None:
            os.ftruncate(handle, 0)


@contextmanager
def _own_log(home: str, name: str) -> Iterator[int | None]:
    """A log for writing, if it is a plain file of the user's with one name: root's hand is on it."""
    with _opened(home, "run") as folder:
        try:
            handle = os.open(_plain(name), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            yield None
            return
        try:
            found, owner = os.fstat(handle), os.fstat(folder).st_uid
            own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == owner
            yield handle if own else None
        finally:
            os.close(handle)


def _kept_from(handle: int, begin: int, size: int) -> int:
    """Where what is kept begins, from an offset on: what was let go is a hole."""
    try:
        return os.lseek(handle, begin, os.SEEK_DATA) if begin < size else begin
    except OSError:
        # Nothing but holes behind it.
        return size


def _read(home: str, name: str, offset: int, most: int) -> LogPart | None:
    with _opened(home, "run") as folder:
        try:
            handle = os.open(_plain(name), _FILE, dir_fd=folder)
        except OSError:
            return None
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and found.st_uid != os.fstat(folder).st_uid):
                return None
            begin = max(0, found.st_size + offset) if offset < 0 else min(offset, found.st_size)
            begin = _kept_from(handle, begin, found.st_size)
            return LogPart(begin, found.st_size, os.pread(handle, most, begin))
        finally:
            os.close(handle)
