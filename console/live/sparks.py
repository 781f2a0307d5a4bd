"""Figures as text in a cell: a line of blocks, a bar. Pure."""

from collections.abc import Sequence
from typing import Final

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_PARTS: Final = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float], width: int, low: float | None = None, high: float | None = None) -> str:
    """The last `width` values as blocks of eight heights, blanks before them when there are fewer.

    `low` and `high` are what the lowest and the highest block stand for; by default the least and the greatest value.
    A line that never changes lies at the bottom.
    """
    shown = values[-width:] if width > 0 else ()
    if not shown:
        return " " * max(width, 0)
    bottom = min(shown) if low is None else low
    top = max(shown) if high is None else high
    reach = top - bottom
    steps = (0 if reach <= 0 else int((min(max(value, bottom), top) - bottom) / reach * 7 + 0.5) for value in shown)
    return "".join(_LEVELS[step] for step in steps).rjust(width)


def bar(share: float, width: int) -> str:
    """A share (0..1) as a bar of `width` cells, in steps of an eighth of a cell; at least one step for more than
    nothing."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0 and not eighths and width:
        eighths = 1
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_PARTS[rest] if rest else "")).ljust(width)
