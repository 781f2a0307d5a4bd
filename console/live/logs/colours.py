"""Colours in a log (ECMA-48, SGR), read from one line at a time. Pure.

Only colours, bold, dim, italic, underline, reverse and strike pass. Concealed and blinking text is shown as any other,
and so is text in the colour of its own background: nobody hides a line from the operator.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from console.live.plain import colours_only, visible

#: One of the 256 colours of a terminal, or red, green and blue.
Colour = int | tuple[int, int, int]
_SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
_MOST_PARAMETERS: Final = 32
_FLAGS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_ENDS: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}


@dataclass(frozen=True, slots=True)
class Look:
    """How text is shown; None is the colour of the theme."""

    text: Colour | None = None
    under: Colour | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False

    def code(self) -> bytes:
        """The sequence that sets it, from a look that sets nothing."""
        numbers = [str(number) for number, name in _FLAGS.items() if getattr(self, name)]
        numbers += [*_code(38, self.text), *_code(48, self.under)]
        return f"\x1b[{';'.join(numbers)}m".encode() if numbers else b""


PLAIN: Final = Look()


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look."""

    text: str
    look: Look


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line as it is shown: the last of the states that carriage returns led to, and how many came before it."""

    runs: tuple[Run, ...]
    folded: int = 0

    @property
    def text(self) -> str:
        """What can be read."""
        return "".join(run.text for run in self.runs)


def drawn(raw: bytes) -> Drawn:
    """What is shown of one line."""
    text = raw.decode("utf-8", "replace")
    if text.isascii() and text.isprintable():
        return Drawn((Run(text, PLAIN),) if text else ())
    runs: list[Run] = []
    folded, rewritten = 0, False
    for look, part in _parts(colours_only(text)):
        for number, state in enumerate(visible(part, "\t\r").split("\r")):
            rewritten = rewritten or (number > 0 and bool(runs))
            if state and rewritten:
                runs, folded, rewritten = [], folded + 1, False
            if state:
                runs.append(Run(state, look))
    return Drawn(tuple(runs), folded)


def after(look: Look, raw: bytes) -> Look:
    """The look that a line leaves behind for the next one."""
    for found in _SGR.finditer(raw.decode("utf-8", "replace")):
        look = _told(look, found[1])
    return look


def _parts(text: str) -> Iterator[tuple[Look, str]]:
    look, pieces = PLAIN, _SGR.split(text)
    yield look, pieces[0]
    for number in range(1, len(pieces), 2):
        look = _told(look, pieces[number])
        yield look, pieces[number + 1]


def _told(look: Look, parameters: str) -> Look:
    """The look after one sequence; what is not understood changes nothing."""
    numbers = [int(each[:4]) if each else 0 for each in re.split("[;:]", parameters)[:_MOST_PARAMETERS]]
    place = 0
    while place < len(numbers):
        number = numbers[place]
        if number in (38, 48):
            colour, taken = _colour(numbers[place + 1 :], colons=":" in parameters)
            look = replace(look, text=colour) if number == 38 else replace(look, under=colour)
            place += taken
        else:
            look = _simple(look, number)
        place += 1
    return look


def _simple(look: Look, number: int) -> Look:
    if number == 0:
        return PLAIN
    if number in _FLAGS:
        return replace(look, **{_FLAGS[number]: True})
    if number in _ENDS:
        return replace(look, **dict.fromkeys(_ENDS[number], False))
    return _palette(look, number)


def _palette(look: Look, number: int) -> Look:
    """The 16 colours, and the way back to the theme's."""
    bright, colour = 8 if number >= 90 else 0, number % 10
    if number in (39, 49):
        return replace(look, text=None) if number == 39 else replace(look, under=None)
    if 30 <= number <= 37 or 90 <= number <= 97:
        return replace(look, text=colour + bright)
    if 40 <= number <= 47 or 100 <= number <= 107:
        return replace(look, under=colour + bright)
    return look


def _colour(numbers: list[int], *, colons: bool) -> tuple[Colour | None, int]:
    """The colour of an extended sequence, and how many numbers told it."""
    if numbers[:1] == [5] and len(numbers) >= 2:
        return min(numbers[1], 255), 2
    if numbers[:1] == [2]:
        # With colons a colour space, mostly empty, may stand before the three.
        skipped = 2 if colons and len(numbers) >= 5 else 1
        parts = numbers[skipped : skipped + 3]
        if len(parts) == 3:
            red, green, blue = (min(part, 255) for part in parts)
            return (red, green, blue), skipped + 2 + 1
    return None, len(numbers)


def _code(kind: int, colour: Colour | None) -> list[str]:
    if colour is None:
        return []
    parts = (5, colour) if isinstance(colour, int) else (2, *colour)
    return [str(each) for each in (kind, *parts)]
