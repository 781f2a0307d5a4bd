"""The steps of a rollout and what may follow each. Every step is written to disk before it is taken.

`start-first`: the new container proves itself beside the old one, which serves until the switch. `stop-first`, for
apps of which only one may ever write: the old one is stopped before the new one starts, and visitors wait meanwhile.
A failure before the switch takes a stop-first rollout to RETURN; one within the watch window takes either there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Strategy(StrEnum):
    """Which container goes first."""

    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


class Step(StrEnum):
    """What is being done, or was when the agent ended."""

    PULL = "PULL"
    START = "START"
    PROBE = "PROBE"
    CONFIRM = "CONFIRM"
    HOLD = "HOLD"
    HALT = "HALT"
    SWITCH = "SWITCH"
    WATCH = "WATCH"
    RETURN = "RETURN"
    DRAIN = "DRAIN"
    STOP = "STOP"
    PRUNE = "PRUNE"


_TAIL: Final = (Step.SWITCH, Step.WATCH, Step.DRAIN, Step.STOP, Step.PRUNE)
_ORDER: Final[Mapping[Strategy, tuple[Step, ...]]] = {
    Strategy.START_FIRST: (Step.PULL, Step.START, Step.PROBE, Step.CONFIRM, *_TAIL),
    # Confirmed before the old one stops: an attempt that may not go live must not interrupt anything.
    Strategy.STOP_FIRST: (Step.PULL, Step.CONFIRM, Step.HOLD, Step.HALT, Step.START, Step.PROBE, *_TAIL),
}
#: From the switch on both are alike. Without an old container nothing is drained; several are stopped one by one.
_AFTER: Final[Mapping[Step, frozenset[Step]]] = {
    Step.SWITCH: frozenset({Step.WATCH, Step.RETURN}),
    Step.WATCH: frozenset({Step.RETURN, Step.DRAIN, Step.PRUNE}),
    Step.RETURN: frozenset({Step.DRAIN}),
    Step.DRAIN: frozenset({Step.STOP}),
    Step.STOP: frozenset({Step.STOP, Step.PRUNE}),
    Step.PRUNE: frozenset(),
}
#: Steps of a stop-first rollout in which nothing may serve, so that visitors wait.
_PARKED: Final = frozenset({Step.HOLD, Step.HALT, Step.START, Step.PROBE, Step.RETURN})
#: Steps after which nothing decides about visitors any more.
_AFTERMATH: Final = frozenset({Step.DRAIN, Step.STOP, Step.PRUNE})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the newest rollout is; `watch_until` is in epoch seconds."""

    step: Step
    strategy: Strategy
    watch_until: float = 0.0

    @property
    def parked(self) -> bool:
        """Whether the app's visitors wait."""
        return self.strategy is Strategy.STOP_FIRST and self.step in _PARKED

    @property
    def open(self) -> bool:
        """Whether the rollout has not switched yet, so that a crash undoes it."""
        return self.step not in _AFTERMATH and self.step not in (Step.SWITCH, Step.WATCH)


def steps(strategy: Strategy) -> tuple[Step, ...]:
    """The steps of a rollout that succeeds."""
    return _ORDER[strategy]


def may_follow(strategy: Strategy, before: Step, after: Step) -> bool:
    """Whether one step may be taken right after the other."""
    if before in _AFTER:
        return after in _AFTER[before]
    if after is Step.RETURN:
        return strategy is Strategy.STOP_FIRST and before in _PARKED
    order = _ORDER[strategy]
    if before not in order or after not in order:
        return False
    # A start is repeated when another process took the port.
    return order.index(after) == order.index(before) + 1 or before is after is Step.START
