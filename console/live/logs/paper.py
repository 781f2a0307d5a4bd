"""A log laid out: which lines are shown, how many rows each takes, and what stands on them. Pure."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from rich.cells import cell_len

from console.live.logs.book import Logbook
from console.live.logs.colours import PLAIN, Look, drawn
from console.live.logs.lines import Line, Mark
from console.live.logs.search import Matches, holds
from console.live.plain import line as one_line

_KEPT: Final = 512
_TAB: Final = 8
_LABEL_CELLS: Final = 16
_NO_TIME: Final = "--:--:--.---"


class Stamps(StrEnum):
    """Which time stands before a line: none, when it came to the console, when it was written."""

    OFF = "off"
    ARRIVED = "arrived"
    OWN = "own"

    @property
    def next(self) -> "Stamps":
        """The one after it, and after the last the first."""
        every = list(Stamps)
        return every[(every.index(self) + 1) % len(every)]


class Part(StrEnum):
    """What a piece of a row is, for its colour."""

    TEXT = "text"
    ERROR = "error"
    NOTE = "note"
    STAMP = "stamp"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Bit:
    """Text of one colour."""

    text: str
    part: Part
    look: Look = PLAIN


@dataclass(frozen=True, slots=True)
class Sheet:
    """One line laid out: its bits, and at which character each of its rows begins. `body` is the first character that
    is the program's own."""

    bits: tuple[Bit, ...]
    rows: tuple[int, ...]
    body: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How lines are laid out, `width` in terminal cells."""

    width: int = 80
    wrap: bool = False
    stamps: Stamps = Stamps.OFF


class Paper:
    """The lines of a book as they are shown; `only` the lines that a search found, when it is set."""

    def __init__(self, book: Logbook) -> None:
        self.book = book
        self.layout = Layout()
        self.only: Matches | None = None
        self._open: tuple[Line, ...] = book.open_lines()
        self._sheets: OrderedDict[int, Sheet] = OrderedDict()

    def arrange(self, layout: Layout, only: Matches | None) -> None:
        """Lay out anew."""
        if layout != self.layout:
            self._sheets.clear()
        self.layout, self.only = layout, only

    def follow(self) -> None:
        """Take in what the book got since."""
        self._open = self.book.open_lines()
        if self.only is not None:
            wanted = self.only.wanted
            self.only.forget()
            self._open = tuple(line for line in self._open if holds(wanted, line))

    # The shelf: which lines are shown

    def __len__(self) -> int:
        lines = len(self.book.store) if self.only is None else len(self.only)
        return self._lost() + lines + len(self._open)

    def __getitem__(self, index: int) -> int:
        store, place = self.book.store, index - self._lost()
        if place < 0:
            return store.first - 1
        lines = len(store) if self.only is None else len(self.only)
        if place >= lines:
            return store.end + place - lines
        return store.first + place if self.only is None else self.only[place]

    def index(self, number: int) -> int:
        """The place of this line, or of the first one after it."""
        store = self.book.store
        if number < store.first:
            return 0
        if number >= store.end:
            lines = len(store) if self.only is None else len(self.only)
            return self._lost() + lines + number - store.end
        return self._lost() + (number - store.first if self.only is None else self.only.place(number))

    def _lost(self) -> int:
        return 1 if self.book.store.first else 0

    # What stands on a line

    def line(self, number: int) -> Line:
        """The line of this number; before the first one kept, how many were let go. Raises LookupError."""
        store = self.book.store
        if number < store.first:
            return Line(f"{store.first:,} earlier lines are not kept".encode(), mark=Mark.NOTE)
        if number < store.end:
            return store.line(number)
        return self._open[number - store.end]

    def height(self, number: int) -> int:
        """How many rows it takes."""
        return len(self.sheet(number).rows) if self.layout.wrap else 1

    def sheet(self, number: int) -> Sheet:
        """The line laid out."""
        known = self._sheets.get(number)
        if known is not None:
            return known
        found = self._laid_out(self.line(number))
        if self.book.store.first <= number < self.book.store.end:
            self._sheets[number] = found
            if len(self._sheets) > _KEPT:
                self._sheets.popitem(last=False)
        return found

    def _laid_out(self, line: Line) -> Sheet:
        bits = list(self._head(line))
        body = sum(len(bit.text) for bit in bits)
        if Mark.NOTE in line.mark:
            bits.append(Bit(f"─ {one_line(line.raw.decode('utf-8', 'replace'))} ─", Part.NOTE))
        else:
            bits += _body(line)
        text = "".join(bit.text for bit in bits)
        rows = row_starts(text, self.layout.width) if self.layout.wrap else (0,)
        return Sheet(tuple(bits), rows, body, text)

    def _head(self, line: Line) -> Sequence[Bit]:
        bits: list[Bit] = []
        if self.layout.stamps is not Stamps.OFF:
            bits.append(Bit(f"{stamp(line, self.layout.stamps)} ", Part.STAMP))
        if len(self.book.origins) > 1:
            bits.append(Bit(f"{label(self.book, line.source)} ", Part.LABEL, Look(text=2 + line.source % 5)))
        return bits


def stamp(line: Line, stamps: Stamps) -> str:
    """The time of day, UTC, to the millisecond."""
    moment = line.own if stamps is Stamps.OWN else line.arrived
    if not moment:
        return _NO_TIME
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def label(book: Logbook, source: int) -> str:
    """Who wrote it, in a fixed number of cells."""
    name = one_line(book.origins[source].label, _LABEL_CELLS)
    return name + " " * max(0, _LABEL_CELLS - cell_len(name))


def _body(line: Line) -> list[Bit]:
    shown, part = drawn(line.raw), Part.ERROR if Mark.ERROR in line.mark else Part.TEXT
    if Mark.GAP in line.mark:
        part = Part.NOTE
    bits: list[Bit] = []
    column = 0
    if shown.folded:
        bits.append(Bit(f"↻{shown.folded} ", Part.NOTE))
    for run in shown.runs:
        text, column = _without_tabs(run.text, column)
        bits.append(Bit(text, part, run.look))
    if Mark.GOES_ON in line.mark:
        bits.append(Bit("↩", Part.NOTE))
    return bits


def _without_tabs(text: str, column: int) -> tuple[str, int]:
    """Tabs as blanks up to the next stop, for a text that begins in this column; and where it ends."""
    if "\t" not in text:
        return text, column + cell_len(text)
    pieces = []
    for number, piece in enumerate(text.split("\t")):
        if number:
            blanks = _TAB - column % _TAB
            pieces.append(" " * blanks)
            column += blanks
        pieces.append(piece)
        column += cell_len(piece)
    return "".join(pieces), column


def row_starts(text: str, width: int) -> tuple[int, ...]:
    """At which character each row begins when none is wider than `width` cells; a wide character is never cut."""
    width = max(2, width)
    if text.isascii():
        return tuple(range(0, max(1, len(text)), width))
    starts, used = [0], 0
    for place, char in enumerate(text):
        cells = cell_len(char)
        if used + cells > width:
            starts.append(place)
            used = 0
        used += cells
    return tuple(starts)
