"""What a feed did, step by step, so that it can be done again: every value that it read, and what it published. Pure.

Each step names the local moment (seconds of the console's monotonic clock) at which it was taken, because ages and
countdowns are worked out from it. The same steps in the same order give the same values (`replay`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

from console.live.model import Link, Live, Model
from console.live.reduce import MOST_JOBS, apply, load, reread
from protocol.events import AnyEvent, Snapshot
from protocol.jobs import JobView


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot was read."""

    local: float
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Applied:
    """A batch of events came, and no more than `most_jobs` jobs were kept."""

    local: float
    events: tuple[AnyEvent, ...]
    most_jobs: int = MOST_JOBS


@dataclass(frozen=True, slots=True)
class Reread:
    """Single jobs were read again."""

    local: float
    jobs: Mapping[str, JobView]


@dataclass(frozen=True, slots=True)
class Published:
    """What had been read until now was shown, with this connection."""

    local: float
    link: Link


Step = Loaded | Applied | Reread | Published


class Tape(Protocol):
    """Where steps go. It never waits and never fails: what it cannot keep it counts."""

    def put(self, step: Step, model: Model | None) -> None:
        """The next step, and the model after it."""
        ...


class NoTape:
    """Keeps nothing."""

    def put(self, step: Step, model: Model | None) -> None:
        """Forget it."""


def replay(live: Live, step: Step) -> Live:
    """The value after a step; what is not published yet has the connection of before."""
    match step:
        case Loaded():
            return Live(load(step.snapshot, step.local, live.model), live.link)
        case Applied():
            if live.model is None:
                return live
            return Live(apply(live.model, step.events, step.local, step.most_jobs), live.link)
        case Reread():
            return live if live.model is None else Live(reread(live.model, step.jobs, step.local), live.link)
        case Published():
            return Live(live.model, step.link)
        case _:
            assert_never(step)
