"""Text that came from somebody's program or repository, made safe to show.

A log may hold sequences that move a terminal's cursor, set its title or answer in the operator's name. Nothing of
that passes: escape sequences are removed whole (ECMA-48, sections 5.3 to 5.6), other control characters are dropped,
and characters that change the direction of text or hide it are dropped as well (Unicode categories Cc, Cf).
"""

import codecs
import re
import unicodedata
from typing import Final

_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # command strings, ended
    r"|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-OQ-WYZ\\`-~]"  # single functions
)
_OPEN: Final = re.compile(
    r"(?:\x1b|\x1b\[[0-?]*[ -/]*|\x9b[0-?]*[ -/]*|\x1b[ -/]+"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*\x1b?)\Z"
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m")
_LONGEST_OPEN: Final = 4096
_ZERO_WIDTH_JOINER: Final = "\u200d"


def line(text: str, most: int = 2000) -> str:
    """One line of plain text: sequences removed, every run of white space and line ends one blank."""
    if len(text) <= most and text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    return " ".join(visible(_SEQUENCE.sub("", text[: most * 2])).split())[:most]


class PlainText:
    """Turns a stream of bytes into plain text; sequences and characters may be cut anywhere between two chunks.

    A carriage return begins a new line unless a line feed follows, so that progress bars stay readable and never
    overwrite what was said before.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """The text of the next bytes; the unfinished end is kept for the next call unless this is the last."""
        text = _SEQUENCE.sub("", self._held + self._decode.decode(data, last))
        self._held = ""
        if not last:
            text = self._hold(text)
        return visible(text.replace("\r\n", "\n").replace("\r", "\n"))

    def _hold(self, text: str) -> str:
        unfinished = _OPEN.search(text)
        if unfinished and len(text) - unfinished.start() <= _LONGEST_OPEN:
            self._held, text = text[unfinished.start() :], text[: unfinished.start()]
        elif text.endswith("\r"):
            self._held, text = "\r", text[:-1]
        return text


def visible(text: str, kept: str = "\n\t") -> str:
    """The text without characters that move, hide or turn round what is shown; those in `kept` stay."""
    if text.isascii() and text.isprintable():
        return text
    dropped = {ord(char): None for char in set(text) if char not in kept and not _shown(char)}
    return text.translate(dropped) if dropped else text


def colours_only(text: str) -> str:
    """The text with all sequences removed but those that colour what follows (ECMA-48, 8.3.117, SGR)."""
    return _SEQUENCE.sub(lambda found: found[0] if _COLOUR.fullmatch(found[0]) else "", text)


def _shown(char: str) -> bool:
    return char == _ZERO_WIDTH_JOINER or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
