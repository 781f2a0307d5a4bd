"""Which files of a repository stay out of the build context, by its `.dockerignore`.

Supported is what Docker documents: one pattern a line, `#` comments, `!` exceptions with the last match winning,
`*`, `?`, `[...]`, `\\` within a path segment, `**` across segments, a matching folder taking its content with it.
What a builder itself reads (the Dockerfile, the `.dockerignore`) goes along whatever they say; the caller sees to that.

Patterns are a stranger's: matching is done segment by segment without backtracking, so none of them can take long.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MOST_PATTERNS: Final = 200
_MOST_CHARACTERS: Final = 512
#: One pattern of a segment; None stands for `**`.
_Segment = re.Pattern[str] | None
_ANY: Final = re.compile(".*", re.DOTALL)
#: An escaped character, a class of characters, stars, or any other character.
_TOKEN: Final = re.compile(r"\\.|\[\^?[^\[\]\\/]+\]|\*+|.", re.DOTALL)
#: What Python would take for more than a list of characters, and Go does not.
_SET_OPERATION: Final = re.compile(r"--|&&|\|\||~~")


@dataclass(frozen=True, slots=True)
class _Rule:
    segments: tuple[_Segment, ...]
    excludes: bool

    def matches(self, path: Sequence[str]) -> bool:
        return any(_match(self.segments, path[:length]) for length in range(1, len(path) + 1))


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of one `.dockerignore`."""

    rules: tuple[_Rule, ...] = ()

    @property
    def has_exceptions(self) -> bool:
        """Whether an excluded folder may still hold something that is included."""
        return any(not rule.excludes for rule in self.rules)

    def excludes(self, path: str) -> bool:
        """Whether a path (relative, with `/`) stays out."""
        segments = path.split("/")
        excluded = False
        for rule in self.rules:
            if rule.excludes != excluded and rule.matches(segments):
                excluded = rule.excludes
        return excluded


def parse(lines: Iterable[str]) -> Ignore:
    """The rules in the order of their lines: the first 200; patterns longer than 512 characters are skipped."""
    rules: list[_Rule] = []
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#") or len(text) > _MOST_CHARACTERS:
            continue
        parts = _clean(text.removeprefix("!").strip())
        if parts:
            rules.append(_Rule(_segments(parts), not text.startswith("!")))
        if len(rules) == MOST_PATTERNS:
            break
    return Ignore(tuple(rules))


def _match(pattern: Sequence[_Segment], path: Sequence[str]) -> bool:
    """Glob matching with one point to return to: after a later `**`, an earlier one never needs to take more."""
    at, here, star, mark = 0, 0, -1, 0
    while here < len(path):
        segment = pattern[at] if at < len(pattern) else None
        if at < len(pattern) and segment is None:
            star, mark, at = at, here, at + 1
        elif segment is not None and segment.fullmatch(path[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return all(segment is None for segment in pattern[at:])


def _segments(parts: Sequence[str]) -> tuple[_Segment, ...]:
    made = [None if part == "**" else _segment(part) for part in parts]
    # At the end, `**` stands for what is in a folder and not for the folder.
    return (*made[:-1], _ANY, None) if made[-1] is None else tuple(made)


def _segment(part: str) -> re.Pattern[str]:
    # The text is split at stars; each piece but the last is matched at its first place and never reconsidered.
    pieces = [""]
    for token in _TOKEN.findall(part):
        if token[0] == "*":
            pieces.append("")
        else:
            pieces[-1] += _translated(token)
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return re.compile(f"{pieces[0]}{middle}.*{pieces[-1]}", re.DOTALL)


def _translated(piece: str) -> str:
    if piece == "?":
        return "."
    if len(piece) == 2 and piece[0] == "\\":
        return re.escape(piece[1])
    if len(piece) > 1 and not _SET_OPERATION.search(piece) and _compiles(piece):
        return piece
    return re.escape(piece)


def _clean(text: str) -> list[str]:
    """The pattern's segments without empty ones and `.`, each `..` taking the one before it along."""
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _compiles(character_class: str) -> bool:
    try:
        re.compile(character_class)
    except re.error:
        return False
    return True
