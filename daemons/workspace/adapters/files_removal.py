"""Removes trees that their owners may change, lock and deepen while they are removed."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing, name_bytes, rename_new, status_at
from daemons.workspace.domain.files import Taken

#: Folders that are open at once; what lies deeper is moved up and removed from there.
_DEEPEST: Final = 48
_AT_ONCE: Final = 1024
#: Looks at one folder: somebody who fills it as fast as it is emptied does not keep a thread for ever.
_LOOKS: Final = 4096


class Removal:
    """Removes one entry with all that is in it. `hoist` is a folder that deep ones are moved to, under names that
    `fresh` gives."""

    def __init__(self, confined: Confinement, hoist: int, fresh: Callable[[], str]) -> None:
        self._confined = confined
        self._hoist = hoist
        self._fresh = fresh
        self._hoisted: list[str] = []

    def remove(self, folder: int, name: str) -> None:
        """Raises Taken when somebody keeps filling it, or OSError."""
        self._remove(folder, name, 0)
        while self._hoisted:
            self._remove(self._hoist, self._hoisted.pop(), 0)

    def _remove(self, folder: int, name: str, depth: int) -> None:
        status = status_at(folder, name)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            self._unlink(folder, name)
        elif depth < _DEEPEST:
            self._remove_folder(folder, name, depth)
        else:
            higher = self._fresh()
            with suppress(FileNotFoundError):
                move_out(self._confined, folder, name, self._hoist, higher)
                self._hoisted.append(higher)

    def _unlink(self, folder: int, name: str) -> None:
        with suppress(FileNotFoundError, IsADirectoryError):
            try:
                os.unlink(name_bytes(name), dir_fd=folder)
            except PermissionError:
                os.fchmod(folder, 0o700)
                os.unlink(name_bytes(name), dir_fd=folder)

    def _remove_folder(self, folder: int, name: str, depth: int) -> None:
        for _ in range(_LOOKS):
            try:
                with closing(self._opened(folder, name)) as inside:
                    found = _names(inside)
                    for each in found:
                        self._remove(inside, each, depth + 1)
            except (FileNotFoundError, NotADirectoryError):
                return
            if len(found) < _AT_ONCE:
                with suppress(OSError):
                    os.rmdir(name_bytes(name), dir_fd=folder)
                    return
                if status_at(folder, name) is None:
                    return
        raise Taken("path: is filled while it is removed")

    def _opened(self, folder: int, name: str) -> int:
        try:
            return self._confined.folder(folder, (name,))
        except PermissionError:
            unlock(self._confined, folder, name)
            return self._confined.folder(folder, (name,))


def unlock(confined: Confinement, folder: int, name: str) -> None:
    """Let its owner into a folder that its mode closes, as before its removal. Raises NotADirectoryError for a file."""
    with closing(confined.open(folder, (name,), os.O_PATH | os.O_DIRECTORY)) as looked:
        Path(f"/proc/self/fd/{looked}").chmod(0o700)


def move_out(confined: Confinement, folder: int, name: str, to: int, new_name: str) -> None:
    """Rename what is to be removed; a folder that may not be written may not be moved either."""
    try:
        rename_new(folder, name, to, new_name)
    except PermissionError:
        with suppress(NotADirectoryError):
            unlock(confined, folder, name)
        rename_new(folder, name, to, new_name)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, _AT_ONCE)]
