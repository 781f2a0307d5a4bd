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


def attempted(deletion: Deletion, problems: Mapping[AppPart, str], now: int) -> Deletion:
    """After an attempt that took away every part without a problem."""
    left = tuple(part for part in deletion.left if part in problems)
    attempts = deletion.attempts + 1
    if not left:
        return replace(deletion, left=(), attempts=attempts, problem=None, next_at=None, done_at=now)
    words = "; ".join(f"{part.value}: {problems[part]}" for part in left)
    return replace(
        deletion, left=left, attempts=attempts, problem=words[:_MOST_WORDS], next_at=now + pause_ms(attempts)
    )
