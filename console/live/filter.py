"""What an operator types after `/`, as a condition on objects. Pure.

Words, all of which must occur: `web failed`. `"two words"` is one word. `field:value` looks into one column:
`status:failed`, `node:n-02`; also `field=value` for the whole cell. `/expression/` is a regular expression. `!` before
any of them turns it round. Letters match in either case.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from console.live.words import t

Match = Callable[[str], bool]
_FIELD: Final = re.compile(r"([a-z][a-z-]{0,30})([:=])(.*)", re.DOTALL)
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Condition:
    """One part: `field` None looks into the object's words."""

    field: str | None
    match: Match
    wanted: bool = True
    #: The word to look for, when it is one: a longer one finds no more than it does.
    word: str | None = None

    def holds(self, text: str) -> bool:
        """Whether a text (in lower case) fulfils it."""
        return self.match(text) is self.wanted


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions must hold; `problem` says what is wrong with what was typed, and then nothing is hidden by it."""

    text: str = ""
    conditions: tuple[Condition, ...] = ()
    problem: str | None = None

    def fields(self) -> frozenset[str]:
        """The columns it looks into."""
        return frozenset(each.field for each in self.conditions if each.field is not None)

    def narrows(self, other: "Filter") -> bool:
        """Whether it surely hides all that `other` hides, as it does while one types on."""
        if len(self.conditions) < len(other.conditions) or self.problem or other.problem:
            return False
        return all(_implies(mine, others) for mine, others in zip(self.conditions, other.conditions, strict=False))


def _implies(mine: Condition, other: Condition) -> bool:
    if mine == other:
        return True
    if mine.word is None or other.word is None or mine.field != other.field:
        return False
    return mine.wanted and other.wanted and other.word in mine.word


def parse(text: str, fields: Iterable[str] = ()) -> Filter:
    """The filter of what was typed. A name before a colon that is no column is taken as part of a word."""
    known = frozenset(fields)
    try:
        conditions = tuple(_condition(part, known) for part in _parts(text[:_LONGEST]))
    except re.error as error:
        return Filter(text, (), t("the expression is not complete: {problem}", problem=error))
    return Filter(text, conditions)


def _parts(text: str) -> list[str]:
    """The words; an expression between slashes keeps its blanks, and a quote that is still open ends with the text."""
    found = []
    for match in re.finditer(r'!?/(?:[^/\\]|\\.)*/?|!?(?:[a-z-]+[:=])?"[^"]*"?|\S+', text):
        found.append(match.group())
    return found


def _condition(part: str, known: frozenset[str]) -> Condition:
    wanted = not part.startswith("!") or part == "!"
    body = part if wanted else part[1:]
    field = _FIELD.fullmatch(body)
    if field and field[1] in known:
        whole = field[2] == "="
        return Condition(field[1], _match(field[3], whole=whole), wanted, None if whole else _word(field[3]))
    return Condition(None, _match(body), wanted, _word(body))


def _word(body: str) -> str | None:
    return None if body.startswith("/") and len(body) > 1 else _unquoted(body).casefold()


def _match(body: str, *, whole: bool = False) -> Match:
    if body.startswith("/") and len(body) > 1:
        return _expression(body[1:].removesuffix("/"))
    word = _unquoted(body).casefold()
    if whole:
        return lambda text: text == word
    return lambda text: word in text


def _expression(pattern: str) -> Match:
    search = re.compile(pattern, re.IGNORECASE).search
    return lambda text: search(text) is not None


def _unquoted(body: str) -> str:
    return body.strip('"')
