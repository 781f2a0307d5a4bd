"""What is searched for in an app, and how much of it at most."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain.paths import Parts

_SNIPPET: Final = 200
_BEFORE: Final = 60


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Where a search ends; a file that is larger than `file_bytes` is not looked into."""

    results: int
    in_one_file: int = 20
    file_bytes: int = 1024 * 1024
    total_bytes: int = 64 * 1024 * 1024
    seconds: float = 5.0

    @classmethod
    def clamped(cls, results: int) -> "SearchLimits":
        """What a caller asks for, within what anyone may."""
        return cls(max(1, min(1000, results)))


@dataclass(frozen=True, slots=True)
class Match:
    """A name that matches, or a line (from 1) with the column (from 1) of its first match and the text around it."""

    path: Parts
    line: int | None = None
    column: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; `whole` is False when it ended at a limit."""

    matches: tuple[Match, ...]
    files: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text, in names, contents or both; taken literally."""

    text: str
    case_sensitive: bool = False
    names: bool = True
    contents: bool = True

    def in_name(self, path: Parts) -> bool:
        """Whether the last name has it."""
        return self.names and self._same(self.text) in self._same(path[-1])

    def in_data(self, path: Parts, data: bytes) -> Iterator[Match]:
        """The lines of a file that have it; none of a file that is no text."""
        if b"\0" in data[:8192]:
            return
        text = data.decode("utf-8", "replace")
        searched, wanted = self._same(text), self._same(self.text)
        at, line, counted = searched.find(wanted), 1, 0
        while at >= 0:
            line += searched.count("\n", counted, at)
            counted = at
            begin, end = searched.rfind("\n", 0, at) + 1, searched.find("\n", at)
            end = len(searched) if end < 0 else end
            first = max(begin, at - _BEFORE)
            yield Match(path, line, at - begin + 1, text[first : min(end, first + _SNIPPET)].strip("\r"))
            at = searched.find(wanted, end)

    def _same(self, text: str) -> str:
        """The text as it is compared. Letters whose lower case is longer stay as they are, so that columns hold."""
        lower = text if self.case_sensitive else text.lower()
        return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
