"""Walks over an app's folders, level by level, each opened from the app itself: no link is followed."""

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing, entry_of, told
from daemons.workspace.domain.files import Kind
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.tree import IGNORED, Listed, Listing, TreeLimits, hidden

#: Entries of one folder that are looked at.
_WIDEST: Final = 200_000


def listing(confined: Confinement, app: int, path: Parts, limits: TreeLimits) -> Listing:
    """Raises FileError when the folder itself cannot be read; what cannot be within it is left out."""
    if limits.depth == 0:
        with told():
            os.close(confined.folder(app, path))
        return Listing((), whole=True)
    found = tuple(islice(walk(confined, app, path, limits.depth), limits.entries + 1))
    return Listing(found[: limits.entries], whole=len(found) <= limits.entries)


def walk(
    confined: Confinement, app: int, path: Parts, depth: int, ignored: frozenset[str] = IGNORED
) -> Iterator[Listed]:
    """Every entry of at most `depth` levels, those of a folder by name."""
    with told():
        folders = deque([(path, _entries(confined, app, path))])
    while folders:
        above, entries = folders.popleft()
        for listed in entries if entries is not None else _known(confined, app, above):
            if hidden(listed.path[-1], listed.entry.kind, ignored):
                continue
            yield listed
            if listed.entry.kind is Kind.FOLDER and len(listed.path) - len(path) < depth:
                folders.append((listed.path, None))


def _known(confined: Confinement, app: int, path: Parts) -> list[Listed]:
    try:
        return _entries(confined, app, path) or []
    except OSError:
        return []


def _entries(confined: Confinement, app: int, path: Parts) -> list[Listed] | None:
    found = []
    with closing(confined.folder(app, path)) as folder, os.scandir(folder) as entries:
        for entry in islice(entries, _WIDEST):
            try:
                found.append(Listed((*path, entry.name), entry_of(entry.stat(follow_symlinks=False))))
            except FileNotFoundError:
                continue
    found.sort(key=lambda listed: listed.path[-1])
    return found
