"""What is looked for in a log, and the numbers of the lines that have it. Pure.

Words are looked for as they are typed, blanks included; a capital letter makes the search tell capitals from small
letters. `/expression/` is a regular expression, `!` before either finds the lines without it. A log is searched a block
at a time, so that who searches can do something else in between.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from console.live.logs.colours import drawn
from console.live.logs.lines import Line
from console.live.logs.store import LogStore
from console.live.words import t

_LONGEST_WORDS: Final = 500
#: The sequences of `console.live.plain`, in bytes and on one line.
_SEQUENCE: Final = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. `problem` says why nothing is: the expression is not complete."""

    words: str = ""
    pattern: "re.Pattern[bytes] | None" = None
    shown: "re.Pattern[str] | None" = None
    without: bool = False
    literal: bool = True
    problem: str | None = None

    def in_block(self, block: bytes) -> Iterator[int]:
        """The places, from 0, of the lines that have it."""
        if self.pattern is None:
            return
        text = readable(block)
        search = self.pattern.search
        if self.literal and not self.without and search(text) is None:
            return
        for place, line in enumerate(text.split(b"\n")):
            if (search(line) is None) is self.without:
                yield place

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it stands in a line as it is shown: from and up to which character."""
        if self.shown is not None and not self.without:
            yield from (found.span() for found in self.shown.finditer(text) if found.end() > found.start())


NOTHING: Final = Wanted()


def wanted(words: str) -> Wanted:
    """What was typed."""
    typed = words[:_LONGEST_WORDS]
    without = typed.startswith("!") and len(typed) > 1
    body = typed[1:] if without else typed
    literal = not (body.startswith("/") and len(body) > 1)
    pattern = re.escape(body) if literal else body[1:].removesuffix("/")
    if not pattern:
        return Wanted(words)
    flags = re.IGNORECASE if body == body.lower() else re.NOFLAG
    try:
        return Wanted(
            words, re.compile(pattern.encode(), flags), re.compile(pattern, flags), without=without, literal=literal
        )
    except re.error as error:
        return Wanted(words, problem=t("the expression is not complete: {problem}", problem=error))


def readable(block: bytes) -> bytes:
    """A block as it reads: without sequences, and of rewritten lines the last state."""
    if b"\x1b" in block:
        block = _SEQUENCE.sub(b"", block)
    if b"\r" in block:
        block = b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in block.split(b"\n"))
    return block


class Matches:
    """The lines of a store that have it, in order, as far as was looked."""

    def __init__(self, what: Wanted, store: LogStore) -> None:
        self.wanted = what
        self._store = store
        self._looked = store.first
        self._found = array("Q")

    @property
    def complete(self) -> bool:
        """Whether every line was looked at."""
        return self._looked >= self._store.end

    @property
    def share(self) -> float:
        """How much was looked at, 0 to 1."""
        return (self._looked - self._store.first) / len(self._store) if len(self._store) else 1.0

    def look_on(self) -> None:
        """Look through one more block."""
        self._looked = max(self._looked, self._store.first)
        if self.complete:
            return
        first, block = self._store.block(self._looked)
        self._found.extend(first + place for place in self.wanted.in_block(block) if first + place >= self._looked)
        self._looked = min(self._store.end, first + block.count(b"\n") + 1)

    def forget(self) -> None:
        """Drop the lines that the store let go."""
        gone = bisect_left(self._found, self._store.first)
        if gone:
            del self._found[:gone]

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, place: int) -> int:
        return self._found[place]

    def place(self, number: int) -> int:
        """How many of them come before this line."""
        return bisect_left(self._found, number)

    def beyond(self, number: int, step: int) -> int | None:
        """The next one after this line (`step` 1) or before it (-1); from the last one on to the first."""
        if not self._found:
            return None
        if step > 0:
            return self._found[bisect_right(self._found, number) % len(self._found)]
        return self._found[bisect_left(self._found, number) - 1]

    def has(self, number: int) -> bool:
        """Whether this line has it."""
        place = self.place(number)
        return place < len(self._found) and self._found[place] == number


def holds(what: Wanted, line: Line) -> bool:
    """Whether one line, as it is shown, has it."""
    return what.shown is None or (what.shown.search(drawn(line.raw).text) is None) is what.without
