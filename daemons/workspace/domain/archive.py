"""What an uploaded archive may hold, and what of an app outlives being overwritten by one."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain.paths import Parts, PathRefused, parts_of

#: Stay when an archive overwrites an app, and are skipped inside of one, at any depth.
KEPT: Final = (".git", "Dockerfile", "Containerfile", ".dockerignore", ".gitignore")
_ENCRYPTED: Final = 0x1
#: Stored and deflated; others may ask for any amount of memory.
_METHODS: Final = (0, 8)


class ArchiveRefused(Exception):
    """The archive is none, or holds what none may; nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much one archive may become. `ratio` counts once the content is larger than `ratio_from_bytes`."""

    entries: int = 20_000
    total_bytes: int = 2 * 1024**3
    depth: int = 40
    ratio: int = 200
    ratio_from_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Packed:
    """An entry as the archive declares it. `mode` is st_mode as Unix archivers store it, 0 when they do not; `method`
    is how it is compressed."""

    name: str
    is_folder: bool
    size: int
    flags: int
    mode: int
    method: int = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry to be extracted."""

    index: int
    path: Parts
    is_folder: bool
    executable: bool


class Budget:
    """Counts what is extracted: what an archive declares proves nothing."""

    def __init__(self, limits: ArchiveLimits, packed_bytes: int) -> None:
        self._limits = limits
        self._packed = packed_bytes
        self._bytes = 0

    def spend(self, size: int) -> None:
        """Raises ArchiveRefused."""
        self._bytes += size
        if self._bytes > self._limits.total_bytes:
            raise ArchiveRefused(f"the archive holds more than {self._limits.total_bytes} bytes")
        if self._bytes > max(self._limits.ratio_from_bytes, self._packed * self._limits.ratio):
            raise ArchiveRefused(f"the archive's content is more than {self._limits.ratio} times its size")


def plan(entries: Iterable[Packed], limits: ArchiveLimits, packed_bytes: int) -> tuple[Planned, ...]:
    """What of the archive is extracted, or ArchiveRefused."""
    planned: dict[Parts, Planned] = {}
    implied: set[Parts] = set()
    budget = Budget(limits, packed_bytes)
    for index, entry in enumerate(entries):
        if index >= limits.entries:
            raise ArchiveRefused(f"the archive has more than {limits.entries} entries")
        path = _path(entry, limits)
        budget.spend(entry.size)
        if not path or set(path) & set(KEPT):
            continue
        if path in planned and not (entry.is_folder and planned[path].is_folder):
            raise ArchiveRefused("the archive has two entries of one name")
        planned[path] = Planned(index, path, entry.is_folder, bool(entry.mode & 0o111))
        implied.update(path[:end] for end in range(1, len(path)))
    if any(path in planned and not planned[path].is_folder for path in implied):
        raise ArchiveRefused("the archive has a file and a folder of one name")
    return tuple(planned.values())


def _path(entry: Packed, limits: ArchiveLimits) -> Parts:
    kind = stat.S_IFMT(entry.mode)
    if entry.flags & _ENCRYPTED:
        raise ArchiveRefused("the archive is encrypted")
    if entry.method not in _METHODS:
        raise ArchiveRefused("the archive is compressed in a way that is not taken; use deflate")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveRefused("the archive holds links or devices")
    if entry.name.startswith(("/", "\\")) or entry.name[1:2] == ":":
        raise ArchiveRefused("the archive holds an absolute name")
    try:
        path = parts_of(entry.name)
    except PathRefused as error:
        raise ArchiveRefused(f"the archive holds a name that is refused: {error}") from None
    if len(path) > limits.depth:
        raise ArchiveRefused(f"the archive is more than {limits.depth} folders deep")
    return path


@dataclass(frozen=True, slots=True)
class PackLimits:
    """How much one download may hold; None for as much as there is."""

    files: int | None = None
    total_bytes: int | None = None


DIST_LIMITS: Final = PackLimits(5000, 200 * 1024**2)
