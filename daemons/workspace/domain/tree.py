"""How much of an app's tree is shown at once, and what of it never."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from daemons.workspace.domain.files import Entry, Kind
from daemons.workspace.domain.paths import Parts

#: Folders of what tools make: neither shown, searched, watched nor downloaded.
IGNORED: Final = frozenset({"node_modules", ".git", "dist", "build", ".next", "target", ".npm-cache", ".funai"})


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """Levels below the folder that is listed, and entries in all."""

    depth: int
    entries: int

    @classmethod
    def clamped(cls, depth: int, entries: int) -> "TreeLimits":
        """What a caller asks for, within what anyone may."""
        return cls(max(0, min(20, depth)), max(1, min(20_000, entries)))


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a walk; `path` is relative to the app."""

    path: Parts
    entry: Entry


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk found; `whole` is False when it ended at a limit of entries."""

    found: tuple[Listed, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Node:
    """An entry with what lies in it."""

    listed: Listed
    children: tuple["Node", ...] = field(default=())


def hidden(name: str, kind: Kind, ignored: frozenset[str] = IGNORED) -> bool:
    """Whether an entry is left out. A file or link may be called `build`."""
    return kind is Kind.FOLDER and name in ignored


def nested(found: Iterable[Listed], root: Parts) -> tuple[Node, ...]:
    """The entries as a tree: folders first, then by name."""
    inside: dict[Parts, list[Listed]] = {}
    for listed in found:
        inside.setdefault(listed.path[:-1], []).append(listed)
    return _nodes(inside, root)


def _nodes(inside: Mapping[Parts, list[Listed]], folder: Parts) -> tuple[Node, ...]:
    entries = sorted(inside.get(folder, ()), key=lambda each: (each.entry.kind is not Kind.FOLDER, each.path[-1]))
    return tuple(Node(each, _nodes(inside, each.path) if each.entry.kind is Kind.FOLDER else ()) for each in entries)
