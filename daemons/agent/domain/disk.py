"""What a node may still do with the room that is left on the engine's file system, in bytes and in inodes.

Three lines, each a share of the whole and an absolute headroom, of which the smaller counts, so that a large disk is
not left idle: below `no_new_apps` no app comes that is not here yet; below `no_pulls` what is superfluous is collected,
and what cannot be fitted in is not pulled; below `stops_only` only stops, and deployments of images that are here
already, of apps that are here already. A line that was crossed counts until a fifth more than it is free again, so that
a node at a line does not change its mind at every sample.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.nodes import DiskLevel

_RELEASE: Final = 1.2
_LEVELS: Final = (DiskLevel.OK, DiskLevel.NO_NEW_APPS, DiskLevel.NO_PULLS, DiskLevel.STOPS_ONLY)
#: Unpacked files are taken to be this large on average when inodes are reserved; mkfs.ext4 gives an inode for each
#: 16 KiB by default.
_BYTES_PER_INODE: Final = 8192


@dataclass(frozen=True, slots=True)
class DiskFigures:
    """Room where the engine keeps its data. Bytes are those that an ordinary process may use: what is reserved for root
    is in `total_bytes` but neither in `usable_bytes` nor free. A file system without a table of inodes (btrfs) has
    None."""

    free_bytes: int
    total_bytes: int
    usable_bytes: int
    inodes_free: int | None = None
    inodes_total: int | None = None

    @property
    def free_pct(self) -> float:
        """The free share of the usable bytes, in percent."""
        return _percent(self.free_bytes, self.usable_bytes)

    @property
    def inodes_free_pct(self) -> float | None:
        """The free share of the inodes, in percent."""
        if self.inodes_free is None or not self.inodes_total:
            return None
        return _percent(self.inodes_free, self.inodes_total)


@dataclass(frozen=True, slots=True)
class Line:
    """So much must be free: a percentage, of bytes and of inodes alike, but no more than these bytes and inodes."""

    pct: float
    most_bytes: int
    most_inodes: int = 2**62

    def bytes_of(self, usable: int) -> int:
        """Bytes that must be free of so many."""
        return min(int(usable * self.pct / 100), self.most_bytes)

    def inodes_of(self, total: int) -> int:
        """Inodes that must be free of so many."""
        return min(int(total * self.pct / 100), self.most_inodes)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The three lines, from the one that is crossed first."""

    no_new_apps: Line
    no_pulls: Line
    stops_only: Line

    def line(self, level: DiskLevel) -> Line:
        """The line whose crossing leads to the level. There is none that leads to OK."""
        return {
            DiskLevel.NO_NEW_APPS: self.no_new_apps,
            DiskLevel.NO_PULLS: self.no_pulls,
            DiskLevel.STOPS_ONLY: self.stops_only,
        }[level]


@dataclass(frozen=True, slots=True)
class Need:
    """What something will take."""

    bytes: int = 0
    inodes: int = 0

    @classmethod
    def of_unpacked(cls, size: int) -> "Need":
        """Bytes that will be on the disk, and inodes for them."""
        return cls(size, size // _BYTES_PER_INODE)

    def __add__(self, other: "Need") -> "Need":
        return Need(self.bytes + other.bytes, self.inodes + other.inodes)


def level(figures: DiskFigures, marks: Watermarks, before: DiskLevel = DiskLevel.OK) -> DiskLevel:
    """How the node stands, given how it stood."""
    found = DiskLevel.OK
    for each in _LEVELS[1:]:
        factor = _RELEASE if _LEVELS.index(before) >= _LEVELS.index(each) else 1.0
        if shortages(figures, marks.line(each), factor):
            found = each
    return found


def at_least(found: DiskLevel, least: DiskLevel) -> bool:
    """Whether a level is as grave as another."""
    return _LEVELS.index(found) >= _LEVELS.index(least)


def shortages(figures: DiskFigures, line: Line, factor: float = 1.0) -> tuple[str, ...]:
    """What is below so many times the line, in words."""
    found = []
    wanted = int(line.bytes_of(figures.usable_bytes) * factor)
    if figures.free_bytes < wanted:
        found.append(f"{size(figures.free_bytes)} of disk free ({figures.free_pct:.1f} %), below {size(wanted)}")
    if figures.inodes_free is not None and figures.inodes_total:
        inodes = int(line.inodes_of(figures.inodes_total) * factor)
        if figures.inodes_free < inodes:
            found.append(f"{figures.inodes_free} inodes free ({figures.inodes_free_pct:.1f} %), below {inodes}")
    return tuple(found)


def explained(figures: DiskFigures, marks: Watermarks, found: DiskLevel) -> str:
    """The level in words; empty for OK."""
    if found is DiskLevel.OK:
        return ""
    why = shortages(figures, marks.line(found)) or shortages(figures, marks.line(found), _RELEASE)
    consequence = {
        DiskLevel.NO_NEW_APPS: "no new apps",
        DiskLevel.NO_PULLS: "no new apps; superfluous images are collected and nothing is pulled that does not fit",
        DiskLevel.STOPS_ONLY: "only stops, and deployments of images that are on the node already",
    }[found]
    return f"{', '.join(why)}: {consequence}"


def fits(figures: DiskFigures, marks: Watermarks, needs: Iterable[Need]) -> bool:
    """Whether the node stays above the line of `no_pulls` with all of this on it."""
    return not shortages(after(figures, needs), marks.no_pulls)


def after(figures: DiskFigures, needs: Iterable[Need]) -> DiskFigures:
    """The figures with all of this on the disk."""
    taken = sum(needs, Need())
    inodes = figures.inodes_free
    return DiskFigures(
        max(0, figures.free_bytes - taken.bytes),
        figures.total_bytes,
        figures.usable_bytes,
        None if inodes is None else max(0, inodes - taken.inodes),
        figures.inodes_total,
    )


def all_room(figures: DiskFigures, marks: Watermarks) -> Need:
    """What may be put on the disk down to the line of `no_pulls`, and one byte more when that is nothing."""
    room = figures.free_bytes - marks.no_pulls.bytes_of(figures.usable_bytes)
    return Need(room) if room > 0 else Need(1)


def collected_enough(figures: DiskFigures, marks: Watermarks, needs: Iterable[Need] = ()) -> bool:
    """Whether a collection may end: with all of this on the disk, the node would take new apps again."""
    return not shortages(after(figures, needs), marks.no_new_apps, _RELEASE)


def size(count: int) -> str:
    """Bytes in the largest unit that fits."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _percent(part: int, whole: int) -> float:
    return round(min(100.0, 100.0 * part / whole), 2) if whole else 0.0
