"""The vocabulary of tables: cells, rows, columns, and figures as short text. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rich.cells import cell_len, set_cell_size

from console.live.plain import line
from console.live.words import t

FLOOR_PERCENT: Final = 15.0
DRAIN_PERCENT: Final = 25.0
_BAR_CELLS: Final = 20


class Tone(StrEnum):
    """How a cell is coloured. Colour repeats what the words say and never says more."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of one line, safe to show."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Row:
    """One object in a table; `key` is its identity."""

    key: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """`width` in terminal cells; a `flex` column takes what is left; the highest `drop` goes first when room is
    short.
    """

    title: str
    width: int
    flex: bool = False
    drop: int = 0
    right: bool = False


def cell(text: str | None, tone: Tone = Tone.PLAIN) -> Cell:
    """A cell of any text, made safe; a dash for nothing."""
    return Cell(line(text), tone) if text else Cell("–", Tone.QUIET)


def seconds_between(later: datetime, earlier: datetime | None) -> float | None:
    """Seconds from one to the other, at least zero; None when unknown."""
    return None if earlier is None else max(0.0, (later - earlier).total_seconds())


def span(seconds: float | None) -> str:
    """A length of time in at most six characters."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 60:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60:02}s"
    if minutes < 60:
        return f"{minutes}m"
    if hours < 24:
        return f"{hours}h{minutes % 60:02}m"
    return f"{days}d{hours % 24:02}h" if days < 100 else f"{days}d"


def size(count: int | None) -> str:
    """Bytes in decimal units, at most seven characters."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if amount >= 100 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.0f} PB"


def disk_tone(free: float | None) -> Tone:
    """Below 15 % free a node takes no deployment, below 25 % no new app."""
    if free is None:
        return Tone.QUIET
    if free < FLOOR_PERCENT:
        return Tone.BAD
    return Tone.WARN if free < DRAIN_PERCENT else Tone.GOOD


def disk_bar(free: float | None) -> str:
    """Free space as a bar of 20 steps with marks at 15 % and 25 %, and the figure; `!` and `!!` below the marks."""
    if free is None:
        return t("no figures yet")
    filled = round(free / 100 * _BAR_CELLS)
    bar = "".join("█" if step < filled else "·" for step in range(_BAR_CELLS))
    floor, drain = int(FLOOR_PERCENT * _BAR_CELLS / 100), int(DRAIN_PERCENT * _BAR_CELLS / 100)
    sign = {Tone.BAD: " !!", Tone.WARN: " !"}.get(disk_tone(free), "")
    return f"{bar[:floor]}│{bar[floor:drain]}│{bar[drain:]} {free:3.0f}%{sign}"


def fit(columns: tuple[Column, ...], width: int, flex_least: int = 24) -> tuple[tuple[int, int], ...]:
    """Which columns are shown in `width` cells, as (index, width); two blanks lie between two columns.

    Columns are dropped, highest `drop` first, until the flexible one has at least `flex_least` cells.
    """
    shown = list(range(len(columns)))
    while True:
        fixed = sum(columns[index].width for index in shown if not columns[index].flex)
        left = width - fixed - 2 * (len(shown) - 1)
        droppable = [index for index in shown if columns[index].drop]
        if left >= flex_least or not droppable:
            break
        shown.remove(max(droppable, key=lambda index: columns[index].drop))
    return tuple((index, max(left, 0) if columns[index].flex else columns[index].width) for index in shown)


def sized(text: str, room: int, right: bool = False) -> str:
    """Exactly `room` terminal cells of the text; a cut is shown by an ellipsis."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > room:
        return set_cell_size(text, room - 1) + "…" if room > 1 else set_cell_size(text, room)
    blanks = " " * (room - length)
    return blanks + text if right else text + blanks
