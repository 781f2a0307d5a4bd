"""Repositories that are to be set up: what is wanted of each, and when it is tried again."""

from dataclasses import dataclass
from typing import Final

from daemons.api.domain.pauses import pause_ms
from protocol.api import RepoStatus

_MOST_WORDS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository that somebody is at until `held_until` (epoch ms); `begun` once it has its first files."""

    app_id: int
    user_id: int
    begun: bool
    attempts: int
    next_at: int
    held_until: int


@dataclass(frozen=True, slots=True)
class SetUp:
    """How an attempt ended; without `next_at` (epoch ms) no other one is needed."""

    status: RepoStatus
    begun: bool
    attempts: int
    reason: str | None = None
    next_at: int | None = None


def attempted(wanted: Wanted, problem: str | None, now: int) -> SetUp:
    """After an attempt; `problem` says why it was in vain."""
    attempts = wanted.attempts + 1
    if problem is None:
        return SetUp(RepoStatus.READY, begun=True, attempts=attempts)
    pause = pause_ms(attempts)
    return SetUp(RepoStatus.FAILED, wanted.begun, attempts, problem[:_MOST_WORDS], now + pause)
