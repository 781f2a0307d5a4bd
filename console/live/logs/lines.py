"""What a program writes, cut into lines, whatever it writes. Pure.

A line is kept as the bytes that came, at most `LONGEST` of them: a longer one is kept in pieces, so that one line of a
megabyte is drawn, wrapped and searched as a hundred short ones. Carriage returns stay inside their line; who draws it
shows the last state. A colour that goes on over the end of a line is written at the beginning of the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from console.live.logs.colours import PLAIN, Look, after

LONGEST: Final = 8192
_LONGEST_SEQUENCE: Final = 64


class Mark(IntFlag):
    """What a line is besides its text."""

    NONE = 0
    #: Written to standard error.
    ERROR = 1
    #: Said by the console and by nobody's program.
    NOTE = 2
    #: The next line of the same source goes on with it.
    GOES_ON = 4
    #: The platform says here that something is missing, or came late.
    GAP = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or a piece of an over-long one. Times are epoch milliseconds, 0 when unknown: `arrived` at the console,
    `own` when it was written. `source` is the number of who wrote it."""

    raw: bytes
    source: int = 0
    arrived: int = 0
    own: int = 0
    mark: Mark = Mark.NONE


class Intake:
    """Cuts the bytes of one stream."""

    def __init__(self, source: int = 0, mark: Mark = Mark.NONE) -> None:
        self._source = source
        self._mark = mark
        self._open = b""
        self._times = (0, 0)
        self._folded = 0
        self._look: Look = PLAIN
        self._prefix = b""

    def feed(self, data: bytes, arrived: int = 0, own: int = 0) -> Iterator[Line]:
        """The lines that these bytes complete. A line has the times of its first byte."""
        *whole, rest = (self._open + data).split(b"\n")
        for number, raw in enumerate(whole):
            if number or not self._open:
                self._times = (arrived, own)
            yield from self._finished(raw.removesuffix(b"\r"))
        if whole or not self._open:
            self._times = (arrived, own)
        self._open = rest
        if len(rest) > LONGEST:
            yield from self._shortened()

    @property
    def unfinished(self) -> Line | None:
        """The line that has no end yet."""
        return self._line(self._open, look_on=False) if self._open else None

    def finish(self) -> Iterator[Line]:
        """The last line, which has no end."""
        if self._open:
            rest, self._open = self._open, b""
            yield from self._finished(rest)

    def _finished(self, raw: bytes) -> Iterator[Line]:
        if len(raw) > LONGEST and b"\r" in raw:
            raw = self._last_states(raw)
        if self._folded:
            told = f"{self._folded:,} earlier states of the next line are not kept".encode()
            self._folded = 0
            yield Line(told, self._source, *self._times, Mark.NOTE)
        *pieces, last = cuts(raw)
        for piece in pieces:
            yield self._line(piece, Mark.GOES_ON)
        yield self._line(last)

    def _shortened(self) -> Iterator[Line]:
        """An endless line: what a progress bar showed before goes, of any other the pieces are lines."""
        if b"\r" in self._open:
            self._open = self._last_states(self._open)
        if len(self._open) > LONGEST:
            *pieces, self._open = cuts(self._open)
            for piece in pieces:
                yield self._line(piece, Mark.GOES_ON)

    def _last_states(self, raw: bytes) -> bytes:
        """As many states, from the last one backwards, as there is room for, and the last one in any case."""
        end = len(raw) - 1
        start = raw.find(b"\r", end - LONGEST, end)
        if start < 0:
            start = raw.rfind(b"\r", 0, end)
        self._folded += raw.count(b"\r", 0, start + 1)
        return raw[start + 1 :]

    def _line(self, raw: bytes, mark: Mark = Mark.NONE, *, look_on: bool = True) -> Line:
        whole = self._prefix + raw
        if look_on and b"\x1b[" in raw:
            self._look = after(self._look, raw)
            self._prefix = self._look.code()
        return Line(whole, self._source, *self._times, self._mark | mark)


def cuts(raw: bytes) -> list[bytes]:
    """Pieces of at most `LONGEST` bytes; no cut lies inside a character or inside a short sequence."""
    pieces: list[bytes] = []
    start = 0
    while len(raw) - start > LONGEST:
        end = _boundary(raw, start + LONGEST)
        pieces.append(raw[start:end])
        start = end
    return [*pieces, raw[start:]]


def _boundary(raw: bytes, end: int) -> int:
    """The last place before `end` at which text may be cut."""
    escape = raw.rfind(b"\x1b", end - _LONGEST_SEQUENCE, end)
    if escape >= 0 and not any(0x40 <= byte <= 0x7E for byte in raw[escape + 2 : end]):
        return escape
    for back in range(4):
        if raw[end - back] & 0xC0 != 0x80:
            return end - back
    return end
