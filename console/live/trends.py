"""How figures went while the console watched: free room of nodes, jobs that wait. Pure, but not frozen.

The control plane keeps no history, so a trend is as long as the console has been open, up to two hours.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from protocol.nodes import NodeView

_EVERY_SECONDS: Final = 10.0
_KEPT: Final = 720
_LEAST_SECONDS: Final = 300.0
_LONGEST_SECONDS: Final = 30 * 86_400.0
_STEPS: Final = "▁▂▃▄▅▆▇█"

Sample = tuple[float, float]


class Trends:
    """Samples, at most one every ten seconds."""

    def __init__(self) -> None:
        self._nodes: dict[int, deque[Sample]] = {}
        self._waiting: deque[Sample] = deque(maxlen=_KEPT)

    def note(self, now: datetime, nodes: Iterable[NodeView], waiting: int) -> None:
        """Remember how things stand, unless that was done a moment ago. Where time went back, as in a recording, what
        came later is not known yet."""
        at = now.timestamp()
        if self._waiting and self._waiting[-1][0] > at:
            self._unlearn(at)
        if self._waiting and at - self._waiting[-1][0] < _EVERY_SECONDS:
            return
        self._waiting.append((at, float(waiting)))
        for node in nodes:
            if node.disk_free_bytes is not None:
                kept = self._nodes.setdefault(node.node_id, deque(maxlen=_KEPT))
                kept.append((at, float(node.disk_free_bytes)))

    def _unlearn(self, at: float) -> None:
        for samples in (self._waiting, *self._nodes.values()):
            while samples and samples[-1][0] > at:
                samples.pop()

    def seconds_to_full(self, node: NodeView) -> float | None:
        """When the node's disk will be full if it goes on as it went; None when it does not fill, or too little is
        known. Figures of less than five minutes tell nothing."""
        samples = self._nodes.get(node.node_id, ())
        if node.disk_free_bytes is None or not samples or samples[-1][0] - samples[0][0] < _LEAST_SECONDS:
            return None
        slope = _slope(samples)
        if slope >= 0:
            return None
        left = node.disk_free_bytes / -slope
        return left if left < _LONGEST_SECONDS else None

    def room(self, node_id: int) -> tuple[float, ...]:
        """Free bytes, oldest first."""
        return tuple(value for _, value in self._nodes.get(node_id, ()))

    def waiting(self) -> tuple[float, ...]:
        """How many jobs waited, oldest first."""
        return tuple(value for _, value in self._waiting)


def _slope(samples: Iterable[Sample]) -> float:
    """Per second, by least squares."""
    points = tuple(samples)
    mean_at = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    above = sum((at - mean_at) * (value - mean) for at, value in points)
    below = sum((at - mean_at) ** 2 for at, _ in points)
    return above / below if below else 0.0


def spark(values: Sequence[float], width: int = 20) -> str:
    """The newest values as a line of blocks; of many, the mean of each group."""
    if not values:
        return ""
    groups = _grouped(values, width)
    low, high = min(groups), max(groups)
    if high == low:
        return _STEPS[0] * len(groups) if high <= 0 else _STEPS[3] * len(groups)
    scale = (len(_STEPS) - 1) / (high - low)
    return "".join(_STEPS[round((value - low) * scale)] for value in groups)


def _grouped(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    size = len(values) / width
    cuts = [round(number * size) for number in range(width + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(cuts)]
