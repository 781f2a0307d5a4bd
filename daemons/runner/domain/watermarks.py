"""When a runner takes no more work because a disk that its builds fill gets full. It goes on building meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system; `place` says what is kept there. Sizes in bytes."""

    place: str
    free: int
    total: int

    @property
    def free_pct(self) -> float:
        """How much is free, in percent."""
        return 100 * self.free / self.total if self.total else 100.0


@dataclass(frozen=True, slots=True)
class Watermarks:
    """No more work is taken with less than `stop_pct` percent free, until `resume_pct` are free again. Where
    `enough_bytes` are free, neither counts."""

    stop_pct: float = 10.0
    resume_pct: float = 15.0
    enough_bytes: int = 20 * _GIB

    def __post_init__(self) -> None:
        if not 0 <= self.stop_pct <= self.resume_pct <= 100:
            raise ValueError("work must be taken again at a line that is not below the one where it stops")


def too_full(disks: Sequence[Disk], marks: Watermarks, *, paused: bool) -> str | None:
    """Why no more work is taken, or None. `paused` is whether that was so until now: between the two lines it stays."""
    line = marks.resume_pct if paused else marks.stop_pct
    full = [disk for disk in disks if disk.free < marks.enough_bytes and disk.free_pct < line]
    if not full:
        return None
    words = ", ".join(f"{disk.place} has {disk.free_pct:.1f} % free ({disk.free / _GIB:.1f} GiB)" for disk in full)
    return f"{words}; work is taken again at {marks.resume_pct:g} %"
