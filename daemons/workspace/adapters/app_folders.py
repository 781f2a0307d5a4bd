"""Folders of apps on this machine's disk: looked at, put aside and removed, as the workspaces' user."""

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

from daemons.workspace.adapters.confined import closing, rename_new, status_at, told
from daemons.workspace.adapters.trees import Disk
from daemons.workspace.domain.files import FileError
from daemons.workspace.domain.leavings import Leaving

_APPS: Final = "apps"
#: Nobody has more apps; a user may fill the folder with anything.
_MOST: Final = 10_000


class Everybody(Protocol):
    """Who has a folder here."""

    async def users(self) -> Sequence[str]:
        """Raises HomeError."""
        ...


class DiskAppFolders:
    """The port `AppFolders`."""

    def __init__(self, disk: Disk, everybody: Everybody) -> None:
        self._disk = disk
        self._everybody = everybody

    async def users(self) -> Sequence[str]:
        """Raises HomeError."""
        return await self._everybody.users()

    async def found(self, user_id: str) -> Sequence[Leaving]:
        """Raises HomeError, FileError."""
        return await self._disk.run(user_id, self._found)

    async def set_aside(self, user_id: str, app_id: str, name: str) -> bool:
        """Raises HomeError, FileError."""
        return await self._disk.run(user_id, self._set_aside, app_id, name)

    async def remove(self, user_id: str, folder: Sequence[str], name: str) -> bool:
        """Raises HomeError, FileError."""
        return await self._disk.run(user_id, self._remove, user_id, tuple(folder), name)

    def _found(self, home: int) -> tuple[Leaving, ...]:
        found = []
        with told(), closing(self._disk.confined.folder(home, (_APPS,))) as apps, os.scandir(apps) as entries:
            for entry in islice(entries, _MOST):
                with suppress(FileNotFoundError):
                    # Its owner can set every other time.
                    changed = entry.stat(follow_symlinks=False).st_ctime_ns // 1_000_000
                    found.append(Leaving(entry.name, changed))
        return tuple(found)

    def _set_aside(self, home: int, app_id: str, name: str) -> bool:
        with told(), closing(self._disk.confined.folder(home, (_APPS,))) as apps:
            # Within its folder even one that its owner may not write can be renamed.
            try:
                rename_new(apps, app_id, apps, name)
            except FileNotFoundError:
                return False
        return True

    def _remove(self, home: int, user_id: str, folder: tuple[str, ...], name: str) -> bool:
        try:
            with told():
                opened = self._disk.confined.folder(home, folder)
        except FileError:
            return False
        with told(), closing(opened):
            if status_at(opened, name) is None:
                return False
            try:
                hoist = self._disk.staging.opened(user_id, home)
            except OSError:
                # A full disk may have no room for it; what is deep is then moved up within the folder itself.
                hoist = os.dup(opened)
            with closing(hoist):
                self._disk.staging.removal(hoist).remove(opened, name)
        return True
