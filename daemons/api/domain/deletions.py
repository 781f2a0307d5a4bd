"""What is left of an app that its owner deleted, and when it is tried again.

No part waits for another but the repository: whoever may still push to it, or works on it in the workspace, would make
it anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from daemons.api.domain.pauses import pause_ms
from protocol.api import AppPart

EVERYTHING: Final = tuple(AppPart)
_MAKERS: Final = frozenset({AppPart.ACCESS, AppPart.WORKSPACE})
_MOST_WORDS: Final = 2_000
_ASKED: Final = "was asked and has not answered yet"
_WAITS: Final = "waits until nobody can push to it"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deleted app; times are epoch milliseconds.

    A deployment that was ordered before the app was gone may reach the control plane until `settled_at`: what was done
    there earlier has to be done once more. Whoever sets up its repository may do so until `repo_held_until`.
    """

    app_id: int
    user_id: int
    app_name: str
    asked_at: int
    settled_at: int
    left: tuple[AppPart, ...] = EVERYTHING
    attempts: int = 0
    problem: str | None = None
    next_at: int | None = None
    done_at: int | None = None
    repo_held_until: int | None = None


def doable(deletion: Deletion, done: Collection[AppPart] = ()) -> tuple[AppPart, ...]:
    """The parts that can be taken away now, `done` being those of this attempt."""
    left = tuple(part for part in deletion.left if part not in done)
    if _MAKERS.isdisjoint(left):
        return left
    return tuple(part for part in left if part is not AppPart.REPOSITORY)


def gone(ended: Mapping[AppPart, str | None]) -> tuple[AppPart, ...]:
    """Those that were taken away, of what each part's turn in an attempt came to: None, or why the part is left."""
    return tuple(part for part, words in ended.items() if words is None)


def reasons(deletion: Deletion, ended: Mapping[AppPart, str | None]) -> Mapping[AppPart, str]:
    """Why each part that is left is left; those whose turn has not ended are being taken away, or wait for others."""
    able = doable(deletion, gone(ended))
    found = {part: ended.get(part, _ASKED if part in able else _WAITS) for part in deletion.left}
    return {part: words for part, words in found.items() if words is not None}


def underway(deletion: Deletion, ended: Mapping[AppPart, str | None]) -> Deletion:
    """While an attempt goes on: whoever has it keeps it."""
    left = reasons(deletion, ended)
    return replace(deletion, left=tuple(left), problem=_words(left))


def attempted(deletion: Deletion, problems: Mapping[AppPart, str], now: int) -> Deletion:
    """After an attempt that took away every part without a problem."""
    left = tuple(part for part in deletion.left if part in problems)
    attempts = deletion.attempts + 1
    if not left:
        return replace(deletion, left=(), attempts=attempts, problem=None, next_at=None, done_at=now)
    words = _words({part: problems[part] for part in left})
    return replace(deletion, left=left, attempts=attempts, problem=words, next_at=now + pause_ms(attempts))


def _words(problems: Mapping[AppPart, str]) -> str:
    return "; ".join(f"{part.value}: {words}" for part, words in problems.items())[:_MOST_WORDS]
