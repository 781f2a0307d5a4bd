"""Finding things by a few letters of their names. Pure.

Every word that was typed must occur: as it is, or letter by letter in this order. What has the words as they are comes
first, at the beginning of a word before in the middle of one, and short before long.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from typing import Final, TypeVar

T = TypeVar("T")
Rank = tuple[int, int, int]
_MOST_LETTERS: Final = 60
_BY_LETTERS: Final = 100


def best(typed: str, things: Iterable[T], text: Callable[[T], str], most: int) -> Sequence[T]:
    """At most `most` of the things, best first; `text` is what is searched, in lower case."""
    words = typed[:_MOST_LETTERS].casefold().split()
    if not words:
        return [thing for thing, _ in zip(things, range(most), strict=False)]
    listed = list(things)
    found = [(rank, number) for number, thing in enumerate(listed) if (rank := _as_they_are(words, text(thing)))]
    if len(found) < most:
        seen = {number for _, number in found}
        patterns = [_letters(word) for word in words]
        rest = (
            (_by_letters(patterns, text(listed[number])), number) for number in range(len(listed)) if number not in seen
        )
        found += [(rank, number) for rank, number in rest if rank]
    return [listed[number] for _, number in nsmallest(most, found)]


def _as_they_are(words: Sequence[str], text: str) -> Rank | None:
    inside = 0
    for word in words:
        place = text.find(word)
        if place < 0:
            return None
        inside += 1 if place and text[place - 1].isalnum() else 0
    return inside, text.find(words[0]), len(text)


def _letters(word: str) -> re.Pattern[str]:
    return re.compile(".*?".join(f"({re.escape(letter)})" for letter in word))


def _by_letters(patterns: Sequence[re.Pattern[str]], text: str) -> Rank | None:
    spread = 0
    for pattern in patterns:
        match = pattern.search(text)
        if match is None:
            return None
        spread += match.end() - match.start()
    return _BY_LETTERS + spread, 0, len(text)
