"""What moves of workspaces decide by themselves."""

import pytest

from daemons.api.domain.moves import REVOCABLE, Move, Verdict, close_enough, ended, rolled_back, verdict
from protocol.workspace_moves import WorkspaceMoveState as State

MOVE = Move(1, 7, 1, 2, 3, State.COPYING, 0, 0)


@pytest.mark.parametrize("state", [state for state in State if state not in REVOCABLE])
def test_after_the_switch_nothing_leads_back(state: State) -> None:
    for tries in (1, 100):
        assert verdict(state, tries, for_good=True) is Verdict.TRY_AGAIN


@pytest.mark.parametrize("state", REVOCABLE)
def test_before_the_switch_every_failure_leads_back_in_the_end(state: State) -> None:
    assert verdict(state, 1, for_good=True) is Verdict.ROLL_BACK
    assert verdict(state, 100, for_good=False) is Verdict.ROLL_BACK


def test_what_may_pass_is_tried_again() -> None:
    for state in (State.COPYING, State.FROZEN, State.SETTLING):
        assert verdict(state, 1, for_good=False) is Verdict.TRY_AGAIN


def test_nothing_is_frozen_for_much() -> None:
    assert not close_enough(1, 0)
    assert close_enough(2, 1024)
    assert not close_enough(4, 10**9)
    assert close_enough(5, 10**9)


def test_the_first_reason_is_the_one_that_is_told() -> None:
    back = rolled_back(rolled_back(MOVE, "the disk is full"), "later")
    assert (back.state, back.error) == (State.ROLLING_BACK, "the disk is full")
    assert (ended(back, 9).state, ended(back, 9).ended_at) == (State.FAILED, 9)
