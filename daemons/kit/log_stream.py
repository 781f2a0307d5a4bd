"""Output of strangers' programs as it comes, without the secrets in it, however it is cut into pieces.

A line is given out when it is complete; a carriage return ends one, too, so that a progress bar that is rewritten for
ever is never held. Of an endless line, what may still become part of a secret is held back. What is held is bounded.
"""

import re
from typing import Final

from daemons.kit import token_shapes
from daemons.kit.logs import REDACTED, Redactor

_LONGEST_LINE: Final = 8 * 1024
_MOST_HELD: Final = 32 * 1024
_MOST_KEY_LINES: Final = 200
_VALUE: Final = re.compile(r"[^\s\"',;]*")
_LINE_END: Final = re.compile(r"(?<=[\r\n])(?=[^\n])|(?<=\n)(?=\n)")
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS: Final = "-----END"
#: A line of a key: base64, perhaps behind what a builder puts before each line, or a header of an old format.
_KEY_LINE: Final = re.compile(
    r"(?:.{0,64}[ \t|])?[A-Za-z0-9+/=]{40,200}\s*|[A-Za-z0-9+/=]{0,200}\s*|[A-Za-z-]{1,32}: .{0,200}\s*"
)


class LogStream:
    """One stream of text."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._overlap = max(token_shapes.RECOGNISED_WITHIN, redactor.longest)
        self._most_held = max(_MOST_HELD, 4 * self._overlap)
        self._held = ""
        self._within_value = False
        self._key_lines = 0
        self._open = False

    @property
    def held(self) -> str:
        """What is held back, as it would be given out now."""
        return self._redactor.text(self._held)

    def feed(self, text: str) -> str:
        """What can be given out now."""
        if self._within_value:
            text = text[_VALUE.match(text).end() :]  # type: ignore[union-attr]
            self._within_value = not text
        text = self._held + text
        cut = max(text.rfind("\n"), text.rfind("\r")) + 1
        out, self._held = self._lines(text[:cut]) if cut else "", text[cut:]
        if len(self._held) > _LONGEST_LINE + self._overlap:
            out += self._part()
        if out:
            self._open = not out.endswith("\n")
        return out

    def end(self) -> str:
        """The rest, with the line end that it lacks."""
        rest, self._held = self._lines(self._held), ""
        ending = "\n" if (rest or self._open) and not rest.endswith("\n") else ""
        self._open = False
        return rest + ending

    def _lines(self, text: str) -> str:
        if not self._key_lines and "PRIVATE KEY" not in text:
            return self._redactor.text(text)
        return "".join(map(self._line, _LINE_END.split(text)))

    def _line(self, line: str) -> str:
        """A line, or nothing when it is of a private key."""
        if self._key_lines:
            if _KEY_ENDS in line:
                self._key_lines = 0
                return ""
            if self._key_lines < _MOST_KEY_LINES and _KEY_LINE.fullmatch(line):
                self._key_lines += 1
                return ""
            self._key_lines = 0
        begins = _KEY_BEGINS.search(line)
        self._key_lines = int(begins is not None and _KEY_ENDS not in line[begins.end() :])
        return self._redactor.text(line)

    def _part(self) -> str:
        """Take of an endless line what cannot become part of a secret any more."""
        cut = len(self._held) - self._overlap
        for start, end in self._redactor.spans(self._held):
            if start < cut < end:
                if end - start > self._most_held - self._overlap and end == len(self._held):
                    return self._begin_of_value(start)
                cut = start
        out, self._held = self._redactor.text(self._held[:cut]), self._held[cut:]
        return out

    def _begin_of_value(self, start: int) -> str:
        """A credential without an end: what follows of it is not held any longer, and not given out."""
        out, self._held = self._redactor.text(self._held[:start]) + REDACTED, ""
        self._within_value = True
        return out
