"""Caches of packages on this machine's disk, looked at and thinned out as the workspaces' user."""

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from daemons.workspace.adapters.confined import closing, name_bytes, told
from daemons.workspace.adapters.trees import Disk
from daemons.workspace.domain.files import FileError
from daemons.workspace.domain.packages import Cached

_DEEPEST: Final = 12
#: More than any cache has; somebody who makes more keeps no thread busy.
_MOST: Final = 300_000
_BLOCK: Final = 512


class DiskCacheFiles:
    """The port `CacheFiles`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def files(self, user_id: str, folder: str) -> Sequence[Cached]:
        """Raises HomeError, FileError."""
        return await self._disk.run(user_id, self._files, folder)

    async def remove(self, user_id: str, files: Sequence[Cached]) -> int:
        """Raises HomeError, FileError."""
        return await self._disk.run(user_id, self._remove, files)

    def _files(self, home: int, folder: str) -> list[Cached]:
        found: list[Cached] = []
        folders: list[tuple[str, ...]] = [(folder,)]
        while folders and len(found) < _MOST:
            path = folders.pop()
            with suppress(FileError), told(), closing(self._disk.confined.folder(home, path)) as opened:
                folders += self._looked(opened, path, found)
        return found

    def _looked(self, opened: int, path: tuple[str, ...], found: list[Cached]) -> list[tuple[str, ...]]:
        """Adds the files of one folder; the folders in it."""
        below = []
        with os.scandir(opened) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        if len(path) < _DEEPEST:
                            below.append((*path, entry.name))
                        continue
                    status = entry.stat(follow_symlinks=False)
                    used = max(status.st_mtime_ns, status.st_atime_ns) // 1_000_000
                    found.append(Cached(path, entry.name, status.st_blocks * _BLOCK, used))
        return below

    def _remove(self, home: int, files: Sequence[Cached]) -> int:
        gone, by_folder = 0, defaultdict[tuple[str, ...], list[Cached]](list)
        for each in files:
            by_folder[each.folder].append(each)
        for path, those in by_folder.items():
            with suppress(FileError), told(), closing(self._disk.confined.folder(home, path)) as opened:
                for each in those:
                    with suppress(OSError):
                        os.unlink(name_bytes(each.name), dir_fd=opened)
                        gone += each.size
        return gone
