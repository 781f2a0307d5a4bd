"""Goes over all of a user's files in the order that both sides of a move agree on; no link is followed.

The user may change the tree meanwhile, lead it out by links or put strange things into it: each folder is opened from
the one above by its own name, on the same file system. What a file system cannot give another one (sockets, pipes,
devices) is named and left out.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing, name_bytes, status_at
from daemons.workspace.adapters.files_staging import STAGING
from daemons.workspace.domain.copying import MOST_PATH_BYTES, MOST_SKIPPED, CopyRefused, Item, Sort

#: Folders within folders; each is open while what is in it is gone over.
_DEEPEST: Final = 200
#: Drafts and what is being removed; and what a file system makes for itself.
_NOT_THE_USERS: Final = (STAGING, "lost+found")
_SORTS: Final = {stat.S_IFREG: Sort.FILE, stat.S_IFDIR: Sort.FOLDER, stat.S_IFLNK: Sort.LINK}


@dataclass(frozen=True, slots=True)
class Met:
    """An entry, the open folder that it is in, and its status when it was met."""

    item: Item
    folder: int
    name: str
    status: os.stat_result


class Walk:
    """One walk over one user's files."""

    def __init__(self, confined: Confinement, home: int, left_out: frozenset[str] = frozenset()) -> None:
        """`left_out`: names of folders that are not gone over, wherever they lie."""
        self._left_out = left_out
        self._confined = confined
        self._home = home
        self._firsts: dict[int, str] = {}
        self.skipped: list[str] = []

    def met(self) -> Iterator[Met]:
        """Every entry. Raises CopyRefused for a tree that is too deep, OSError."""
        with ExitStack() as held:
            root = self._confined.folder(self._home, ())
            held.callback(os.close, root)
            yield from self._below(root, "", 0)

    def skip(self, path: str, why: str) -> None:
        """It is not copied; the first of these are named."""
        if len(self.skipped) < MOST_SKIPPED:
            self.skipped.append(f"{path} ({why})")

    def _below(self, folder: int, above: str, depth: int) -> Iterator[Met]:
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries), key=name_bytes)
        for name in names:
            if not above and name in _NOT_THE_USERS:
                continue
            path = f"{above}/{name}" if above else name
            if depth >= _DEEPEST or len(name_bytes(path)) > MOST_PATH_BYTES:
                raise CopyRefused(f"folders lie too deep within each other to be copied: {path[:200]}")
            found = self._look(folder, name, path)
            if found is None or (found.item.sort is Sort.FOLDER and name in self._left_out):
                continue
            yield found
            if found.item.sort is Sort.FOLDER:
                yield from self._inside(folder, name, path, depth)

    def _inside(self, folder: int, name: str, path: str, depth: int) -> Iterator[Met]:
        try:
            inside = self._confined.folder(folder, (name,))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.skip(path, os.strerror(error.errno or 0))
            return
        with closing(inside):
            yield from self._below(inside, path, depth + 1)

    def _look(self, folder: int, name: str, path: str) -> Met | None:
        status = status_at(folder, name)
        if status is None:
            return None
        sort = _SORTS.get(stat.S_IFMT(status.st_mode))
        if sort is None:
            self.skip(path, "no file, folder or link")
            return None
        target, several = "", sort is Sort.FILE and status.st_nlink > 1
        if several and status.st_uid != self._confined.uid:
            self.skip(path, "another user's file under a second name")
            return None
        if sort is Sort.LINK:
            try:
                target = os.fsdecode(os.readlink(name_bytes(name), dir_fd=folder))
            except OSError:
                return None
        if several and (first := self._firsts.setdefault(status.st_ino, path)) != path:
            sort, target = Sort.SAME, first
        mode = stat.S_IMODE(status.st_mode)
        return Met(Item(path, sort, mode, status.st_size, status.st_mtime_ns, target), folder, name, status)
