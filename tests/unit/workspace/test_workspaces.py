"""The life of a workspace as a whole: which step may follow which, and who is let in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.workspace.domain.places import NoPorts, choose
from daemons.workspace.domain.replay import Ring
from daemons.workspace.domain.workspaces import (
    IllegalStep,
    MovedAway,
    Phase,
    Seen,
    StaleEpoch,
    Workspace,
    admitted,
    advance,
    observed,
)

ONE = Workspace("7", 20007, 0, epoch=3)


def test_a_step_that_no_life_has_is_refused() -> None:
    with pytest.raises(IllegalStep, match="absent cannot become frozen"):
        advance(ONE, Phase.FROZEN, 1)
    assert advance(ONE, Phase.STARTING, 1).phase is Phase.STARTING
    with pytest.raises(IllegalStep):
        advance(replace(ONE, phase=Phase.RUNNING), Phase.MOVED, 1)


@given(st.sampled_from(Phase), st.sampled_from(Seen))
def test_what_the_engine_says_wins_except_over_a_move(phase: Phase, seen: Seen) -> None:
    found = observed(replace(ONE, phase=phase), seen, 5)
    if phase in (Phase.LEAVING, Phase.ARRIVING, Phase.MOVED):
        assert found.phase is phase
    else:
        assert found.phase in (Phase.ABSENT, Phase.STOPPED, Phase.RUNNING, Phase.FROZEN)


def test_epochs_only_rise() -> None:
    assert admitted(ONE, None, 1) == ONE
    assert admitted(ONE, 3, 1) == ONE
    assert admitted(ONE, 4, 1).epoch == 4
    with pytest.raises(StaleEpoch, match="epoch 2 is over"):
        admitted(ONE, 2, 1)


def test_what_was_moved_away_comes_back_with_a_newer_epoch_only() -> None:
    gone = replace(ONE, phase=Phase.MOVED)
    for epoch in (None, 3):
        with pytest.raises(MovedAway):
            admitted(gone, epoch, 1)
    back = admitted(gone, 4, 9)
    assert (back.phase, back.epoch, back.changed_at_ms) == (Phase.ABSENT, 4, 9)


def test_a_port_is_its_users_for_good() -> None:
    first = choose("2007", 20000, 2000, set(), lambda _port: True)
    assert first == 20007
    assert choose("4007", 20000, 2000, {first}, lambda _port: True) == 20008
    assert choose("7", 20000, 2000, set(), lambda port: port > 20010) == 20011
    with pytest.raises(NoPorts):
        choose("7", 20000, 3, {20000, 20001, 20002}, lambda _port: True)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=40), st.integers(0, 2000))
def test_a_ring_gives_what_follows_an_offset_and_says_what_is_lost(pieces: list[bytes], offset: int) -> None:
    ring, whole = Ring(capacity=100), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    found = ring.since(offset)
    assert ring.end == len(whole)
    assert found.data == whole[found.offset :]
    assert found.offset - found.lost == min(offset, len(whole))
    assert len(whole) - ring.begin <= 100
    if offset >= ring.begin:
        assert found.lost == 0
