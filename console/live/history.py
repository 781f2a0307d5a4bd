"""How figures went over the last minutes: a few numbers for each node and for the queue, bounded. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

#: Seconds between two points, and the most points of one series: half an hour.
POINT_SECONDS: Final = 30.0
MOST_POINTS: Final = 60

Series = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class History:
    """`disk`: per cent free of each node by its id; `queue`: jobs that wait, and `running`: jobs that run.

    `at` is when the newest point was taken (seconds of the console's clock); the newest point of a series is its last.
    """

    at: float | None = None
    disk: Mapping[str, Series] = field(default_factory=lambda: MappingProxyType({}))
    queue: Series = ()
    running: Series = ()

    def due(self, local: float) -> bool:
        """Whether it is time for another point."""
        return self.at is None or local - self.at >= POINT_SECONDS

    def later(self, local: float, disk: Mapping[str, float], queue: int, running: int) -> "History":
        """With one point more; nodes that are not in `disk` are forgotten."""
        series = {key: _with(self.disk.get(key, ()), value) for key, value in disk.items()}
        return History(local, MappingProxyType(series), _with(self.queue, queue), _with(self.running, running))


def _with(series: Series, value: float) -> Series:
    return (*series[1 - MOST_POINTS :], value)


def seconds_to(series: Series, target: float) -> float | None:
    """Seconds until a figure that falls as it did lately reaches `target`; None when it does not fall, or nobody can
    tell: the slope of the straight line that fits the points best."""
    count = len(series)
    if count < 4 or series[-1] <= target:
        return None
    mean_x, mean_y = (count - 1) / 2, sum(series) / count
    over = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(series))
    slope = over / sum((x - mean_x) ** 2 for x in range(count))
    if slope > -1e-3:
        return None
    return (series[-1] - target) / -slope * POINT_SECONDS
