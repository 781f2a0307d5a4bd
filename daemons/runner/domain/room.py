"""How much room is left where layers are kept, and the line below which old ones go.

A line is a share of the whole and an absolute headroom, of which the smaller counts, as for the disks of nodes. What
was crossed counts as crossed until a fifth more than it is free again, so that one removal serves many builds.
"""

from dataclasses import dataclass
from typing import Final

_RELEASE: Final = 1.2


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that an ordinary process may use, and inodes where the file system counts them."""

    free_bytes: int
    usable_bytes: int
    inodes_free: int | None = None
    inodes_total: int | None = None


@dataclass(frozen=True, slots=True)
class RoomLine:
    """So much must be free: a percentage, of bytes and of inodes alike, but no more than these bytes, and an inode for
    each 16 KiB of them (mkfs.ext4 makes as many)."""

    pct: float
    most_bytes: int

    def lacking(self, room: Room, *, again: bool = False) -> str:
        """What is below the line, in words; empty when nothing is. `again`: whether it was below before."""
        factor = _RELEASE if again else 1.0
        wanted = int(min(room.usable_bytes * self.pct / 100, self.most_bytes) * factor)
        if room.free_bytes < wanted:
            return f"{size(room.free_bytes)} of disk are free, less than {size(wanted)}"
        if room.inodes_free is None or not room.inodes_total:
            return ""
        inodes = int(min(room.inodes_total * self.pct / 100, self.most_bytes // 16384) * factor)
        return f"{room.inodes_free} inodes are free, less than {inodes}" if room.inodes_free < inodes else ""

    @property
    def half(self) -> "RoomLine":
        """The line at half its height."""
        return RoomLine(self.pct / 2, self.most_bytes // 2)


def size(count: int) -> str:
    """Bytes in the largest unit that fits."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
