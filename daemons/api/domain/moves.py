"""Moves of workspaces between nodes: what may follow what, when a copy is good enough, and what a failure means.

At any moment one node has the workspace: the source until the row of the placement is switched, the target from then
on. Before the switch every failure leads back; after it nothing does.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from protocol.workspace_moves import WorkspaceMoveState as State

#: Somebody has to work on these.
WORKING: Final = (State.COPYING, State.FROZEN, State.SETTLING, State.SWITCHED, State.ROLLING_BACK)
DUE: Final = (State.QUEUED, *WORKING)
#: The switch has not been made, so it need not be.
REVOCABLE: Final = (State.QUEUED, State.COPYING, State.FROZEN, State.SETTLING)
ACTIVE: Final = (*DUE, State.KEEPING)
OVER: Final = (State.DONE, State.FAILED, State.CANCELLED)

#: Passes while the workspace is used: more of them catch up with less and less.
_MOST_PASSES: Final = 5
#: What is worth freezing for: it is sent within a second or so.
_LITTLE_BYTES: Final = 8 * 1024 * 1024
#: How often in a row something may fail before the switch.
_TRIES: Final = {State.COPYING: 8, State.FROZEN: 4, State.SETTLING: 4}
#: A node that cannot be told to clear away is left alone in the end: what lies there is in nobody's way.
ABANDON_TRIES: Final = 8
#: So many times in each lease a process says that it still works on a move.
RENEWALS: Final = 4


class MoveExists(Exception):
    """The user's workspace is on its way already."""


class UnknownMove(Exception):
    """There is no such move."""


class TooLateToCancel(Exception):
    """The workspace lives on the target, or the move is over."""


class MoveLost(Exception):
    """Another process works on the move."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move's row; times in epoch milliseconds of the database."""

    id: int
    user_id: int
    source_id: int
    target_id: int | None
    epoch: int
    state: State
    created_at: int
    updated_at: int
    passes: int = 0
    copied_files: int = 0
    copied_bytes: int = 0
    total_bytes: int = 0
    skipped: tuple[str, ...] = ()
    cancelled: bool = False
    error: str = ""
    frozen_at: int | None = None
    frozen_ms: int | None = None
    keep_until: int | None = None
    ended_at: int | None = None


class Verdict(Enum):
    """What a failure means for a move."""

    TRY_AGAIN = auto()
    ROLL_BACK = auto()


def verdict(state: State, tries: int, *, for_good: bool) -> Verdict:
    """What is done when a step failed for the `tries`th time in a row; `for_good`: it would fail again."""
    if state not in REVOCABLE:
        return Verdict.TRY_AGAIN
    return Verdict.ROLL_BACK if for_good or tries >= _TRIES.get(state, 1) else Verdict.TRY_AGAIN


def close_enough(passes: int, last_bytes: int) -> bool:
    """Whether what is left may be copied while the workspace stands still."""
    return (passes >= 2 and last_bytes <= _LITTLE_BYTES) or passes >= _MOST_PASSES


def rolled_back(move: Move, why: str) -> Move:
    """The move from the moment on when it is not to be."""
    return replace(move, state=State.ROLLING_BACK, error=move.error or why)


def ended(move: Move, now: int) -> Move:
    """The move when all of it was taken back."""
    return replace(move, state=State.CANCELLED if move.cancelled else State.FAILED, ended_at=now)
