"""Tells what changes in an app, by inotify on folders that were opened from the app itself.

Libraries that watch a path follow the links below it: a link to `/` would have them watch the machine and tell its
names. Folders of what tools make are not watched at all; one dependency tree can take all watches of a machine.
"""

import asyncio
import ctypes
import os
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from daemons.workspace.adapters.confined import closing, status_at, told
from daemons.workspace.adapters.files_walks import walk
from daemons.workspace.adapters.trees import Disk
from daemons.workspace.domain.changes import MOST_CHANGES, Batch, Change, PathChange, TooManyWatchers, settled
from daemons.workspace.domain.files import FileError, Kind, NotThere
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.tree import IGNORED

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _ISDIR = 0x400, 0x800, 0x4000, 0x40000000
_ONLYDIR, _EXCL_UNLINK = 0x1000000, 0x4000000
_MASK: Final = (
    _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR | _EXCL_UNLINK
)
_EVENT: Final = struct.Struct("iIII")
_DEEPEST: Final = 64
_MOST_FOLDERS: Final = 4096
#: Of one node and of one user: the kernel allows a user 128 instances, and root is one.
_MOST_WATCHERS, _EACH = 96, 8
#: How long to wait for more, once something changed.
_SETTLE_SECONDS: Final = 0.05

_libc = ctypes.CDLL(None, use_errno=True)
_add_watch = _libc.inotify_add_watch
_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]


class Watch:
    """One app that is watched."""

    def __init__(self, disk: Disk, user_id: str, app_id: str, descriptor: int) -> None:
        self._disk = disk
        self.user_id = user_id
        self._app_id = app_id
        self._descriptor = descriptor
        self._folders: dict[int, Parts] = {}
        self._news = asyncio.Event()
        self._ended = False

    async def begin(self) -> None:
        """From now on. Raises NotThere, HomeError."""
        await self._disk.run(self.user_id, self._watch_all)

    async def next(self, seconds: float) -> Batch | None:
        """What changed, as soon as something did; None when the app is gone or nobody is to watch any more. Raises
        TimeoutError after `seconds` without a change."""
        loop = asyncio.get_running_loop()
        self._news.clear()
        if not self._ended:
            loop.add_reader(self._descriptor, self._news.set)
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            finally:
                loop.remove_reader(self._descriptor)
        if self._ended:
            return None
        await asyncio.sleep(_SETTLE_SECONDS)
        try:
            return await self._disk.run(self.user_id, self._collect)
        except NotThere:
            return None

    def end(self) -> None:
        """`next` returns None from now on."""
        self._ended = True
        self._news.set()

    def close(self) -> None:
        """No `next` is under way."""
        os.close(self._descriptor)

    def _collect(self, home: int) -> Batch:
        seen: dict[Parts, list[Change]] = defaultdict(list)
        with closing(self._app(home)) as app:
            for number, mask, name in self._events():
                folder = self._folders.get(number)
                lost = mask & _OVERFLOW or (folder == () and mask & (_DELETE_SELF | _MOVE_SELF))
                if not lost and folder is not None and name:
                    self._see(app, (*folder, name), mask, seen)
                if lost or len(seen) > MOST_CHANGES:
                    self._watch_all(home)
                    return Batch(reload=True)
            changes = [(path, self._became(app, path, all_)) for path, all_ in seen.items()]
        return Batch(tuple(PathChange(path, change) for path, change in changes if change is not None))

    def _see(self, app: int, path: Parts, mask: int, seen: dict[Parts, list[Change]]) -> None:
        if mask & _ISDIR and path[-1] in IGNORED:
            return
        if mask & (_DELETE | _MOVED_FROM):
            seen[path].append(Change.DELETED)
            if mask & _ISDIR:
                self._forget(path)
        elif mask & (_CREATE | _MOVED_TO):
            seen[path].append(Change.CREATED)
            if mask & _ISDIR:
                # What came before the watch is told by looking.
                for inside in self._watch(app, path):
                    seen[inside].append(Change.CREATED)
        else:
            seen[path].append(Change.MODIFIED)

    def _became(self, app: int, path: Parts, seen: list[Change]) -> Change | None:
        exists = self._exists(app, path)
        if exists and Change.DELETED in seen:
            # Of two folders that changed places, the one that went was seen last.
            for _ in self._watch(app, path):
                continue
        return settled(seen, exists)

    def _exists(self, app: int, path: Parts) -> bool:
        with suppress(OSError), closing(self._disk.confined.folder(app, path[:-1])) as folder:
            return status_at(folder, path[-1]) is not None
        return False

    def _watch_all(self, home: int) -> None:
        self._forget(())
        while any(True for _ in self._events()):
            continue
        with closing(self._app(home)) as app:
            for _ in self._watch(app, ()):
                continue

    def _watch(self, app: int, path: Parts) -> Iterator[Parts]:
        """Watch a folder and those in it; yields what is in them."""
        self._add(app, path)
        with suppress(FileError):
            for listed in walk(self._disk.confined, app, path, _DEEPEST):
                if listed.entry.kind is Kind.FOLDER:
                    self._add(app, listed.path)
                yield listed.path

    def _add(self, app: int, path: Parts) -> None:
        if len(self._folders) >= _MOST_FOLDERS:
            return
        with suppress(OSError), closing(self._disk.confined.folder(app, path)) as folder:
            number = _add_watch(self._descriptor, f"/proc/self/fd/{folder}".encode(), _MASK)
            if number >= 0:
                self._folders[number] = path

    def _forget(self, path: Parts) -> None:
        for number, folder in tuple(self._folders.items()):
            if folder[: len(path)] == path:
                del self._folders[number]
                _libc.inotify_rm_watch(self._descriptor, number)

    def _app(self, home: int) -> int:
        with told():
            return self._disk.confined.folder(home, ("apps", self._app_id))

    def _events(self) -> Iterator[tuple[int, int, str]]:
        """All that wait: number of the watch, mask, name."""
        with suppress(BlockingIOError):
            while data := os.read(self._descriptor, 64 * 1024):
                at = 0
                while at < len(data):
                    number, mask, _, length = _EVENT.unpack_from(data, at)
                    at += _EVENT.size
                    yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
                    at += length


class Watcher:
    """The port `Watches`: a bounded number of apps that are watched."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._open: set[Watch] = set()

    @asynccontextmanager
    async def watching(self, user_id: str, app_id: str) -> AsyncIterator[Watch]:
        """The app's changes for as long as the block lasts. Raises NotThere, TooManyWatchers, HomeError."""
        if (
            len(self._open) >= _MOST_WATCHERS
            or sum(watch.user_id == user_id for watch in self._open) >= _EACH
            or (descriptor := int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))) < 0
        ):
            raise TooManyWatchers("too many watch already; close another view")
        watch = Watch(self._disk, user_id, app_id, descriptor)
        self._open.add(watch)
        try:
            await watch.begin()
            yield watch
        finally:
            self._open.discard(watch)
            watch.close()

    def end(self) -> None:
        """Nobody watches any more, as before a shutdown."""
        for watch in self._open:
            watch.end()
