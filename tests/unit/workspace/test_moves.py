"""What moves do to a workspace on its nodes, and what is sent of its files: the decisions alone."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.workspace.domain import moves
from daemons.workspace.domain.copying import (
    BLANK,
    Beginning,
    CopyRefused,
    Data,
    Ending,
    Former,
    Frame,
    Frames,
    Item,
    Sort,
    encoded,
    order,
    stamp,
)
from daemons.workspace.domain.workspaces import BeingMoved, MovedAway, Phase, Seen, StaleEpoch, Workspace, admitted

HERE = Workspace("7", 20007, 0, phase=Phase.RUNNING, epoch=3)
NEW = Workspace("7", 20007, 0)


def test_a_source_is_held_and_left_or_released() -> None:
    held = moves.held(HERE, 5, 3, 1)
    assert (held.phase, held.move) == (Phase.LEAVING, 5)
    assert moves.held(held, 5, 3, 2) == held
    with pytest.raises(BeingMoved):
        admitted(held, 3, 1)
    left = moves.left(held, 5, 2)
    assert (left.phase, left.epoch, moves.left(left, 5, 9)) == (Phase.MOVED, 3, left)
    with pytest.raises(MovedAway):
        admitted(left, 3, 3)
    free = moves.released(held, 5, Seen.RUNNING, 2)
    assert (free.phase, free.move) == (Phase.RUNNING, 0)
    assert admitted(free, 3, 3) == free


def test_a_move_that_is_over_holds_and_takes_nothing() -> None:
    free = moves.released(moves.held(HERE, 5, 3, 1), 5, Seen.RUNNING, 2)
    for late in (4, 5):
        with pytest.raises(moves.MoveOver):
            moves.held(free, late, 3, 3)
        with pytest.raises(moves.MoveOver):
            moves.left(free, late, 3)
    assert moves.held(free, 6, 3, 3).move == 6
    # Released before it came: it does not hold afterwards either.
    with pytest.raises(moves.MoveOver):
        moves.held(moves.released(HERE, 5, Seen.ABSENT, 1), 5, 3, 2)
    with pytest.raises(moves.MoveOver):
        moves.held(moves.held(HERE, 6, 3, 1), 7, 3, 1)
    with pytest.raises(StaleEpoch):
        moves.held(HERE, 5, 2, 1)


def test_a_target_lets_nobody_in_until_it_is_settled() -> None:
    coming = moves.arriving(NEW, 5, 4, 1, files=False)
    for epoch in (None, 3, 4, 9):
        with pytest.raises(BeingMoved):
            admitted(coming, epoch, 1)
    settled = moves.settled(moves.received(coming, 5, "t"), 5, 4, 2)
    assert (settled.phase, settled.epoch, moves.settled(settled, 5, 4, 9)) == (Phase.ABSENT, 4, settled)
    with pytest.raises(StaleEpoch):
        admitted(settled, 3, 3)
    used = admitted(settled, 4, 3)
    assert (used.move, used.ended_move) == (0, 5)
    # Who uses it has it: the move cannot take it back any more.
    assert not moves.brought(used, 5)
    assert moves.abandoned(used, 5, 4).epoch == 4


def test_what_is_abandoned_never_was_there_and_does_not_come_again() -> None:
    coming = moves.arriving(NEW, 5, 4, 1, files=False)
    for one in (coming, moves.settled(coming, 5, 4, 2)):
        assert moves.brought(one, 5)
        gone = moves.abandoned(one, 5, 3)
        assert (gone.phase, gone.move) == (Phase.ABSENT, 0)
        with pytest.raises(moves.MoveOver):
            moves.settled(gone, 5, 4, 4)
        with pytest.raises(moves.MoveOver):
            moves.incoming(gone, 5)
        with pytest.raises(moves.MoveOver):
            moves.arriving(gone, 5, 4, 4, files=False)
        assert moves.arriving(gone, 6, 4, 4, files=False).phase is Phase.ARRIVING


def test_files_that_no_move_brought_are_in_the_way() -> None:
    with pytest.raises(moves.InTheWay):
        moves.arriving(replace(NEW, phase=Phase.STOPPED), 5, 4, 1, files=True)
    assert moves.arriving(replace(NEW, phase=Phase.MOVED), 5, 4, 1, files=True).phase is Phase.ARRIVING
    with pytest.raises(StaleEpoch):
        moves.arriving(replace(NEW, epoch=9), 5, 4, 1, files=False)


ORDERS: dict[str, tuple[int, Callable[[Workspace], Workspace]]] = {
    "held": (0, lambda one: moves.held(one, 5, 3, 1)),
    "released": (0, lambda one: moves.released(one, 5, Seen.RUNNING, 1)),
    "left": (0, lambda one: moves.left(one, 5, 1)),
    "arriving": (1, lambda one: moves.arriving(one, 5, 4, 1, files=False)),
    "settled": (1, lambda one: moves.settled(one, 5, 4, 1)),
    "abandoned": (1, lambda one: moves.abandoned(one, 5, 1)),
}


@given(st.lists(st.sampled_from(sorted(ORDERS)), max_size=12))
def test_at_most_one_side_of_a_move_lets_people_in(orders: list[str]) -> None:
    """In whatever order, how often and how late orders come: once a source has left, it is never entered at its old
    epoch; a target is entered at the new epoch only after it was settled."""
    sides, obeyed = [HERE, NEW], set[str]()
    for each in orders:
        side, step = ORDERS[each]
        with suppress(moves.MoveOver, MovedAway):
            sides[side] = step(sides[side])
            obeyed.add(each)
    if "left" in obeyed:
        with pytest.raises(MovedAway):
            admitted(sides[0], 3, 2)
    if sides[1].phase is Phase.ARRIVING:
        with pytest.raises(BeingMoved):
            admitted(sides[1], 4, 2)
    assert "settled" in obeyed or sides[1].epoch == 0


FRAMES: list[Frame] = [
    Beginning("t1", ""),
    Item("a\udcff/b", Sort.FILE, 0o644, 3, 12, ""),
    Data(0, b"abc"),
    Item("l", Sort.LINK, 0o777, 0, 1, "/etc/../x"),
]


@given(st.integers(1, 60))
def test_frames_are_read_in_whatever_pieces_they_come(size: int) -> None:
    body = b"".join(map(encoded, FRAMES))
    end = Ending(hashlib.sha256(body).hexdigest(), "tree", ("x (socket)",))
    whole, frames = body + encoded(end), Frames()
    found = [frame for at in range(0, len(whole), size) for frame in frames.feed(whole[at : at + size])]
    assert found == [*FRAMES, end]


def test_an_end_that_does_not_name_what_came_is_refused() -> None:
    with pytest.raises(CopyRefused, match="not what was sent"):
        list(Frames().feed(encoded(FRAMES[0]) + encoded(Ending("0" * 64, "", ()))))


@pytest.mark.parametrize("path", ["", "/etc", "a//b", "../a", "a/../b", "a/.", "a/", "\0", "a\0b"])
@pytest.mark.parametrize("sort", [Sort.FILE, Sort.GONE, Sort.SAME])
def test_paths_that_lead_elsewhere_are_refused(path: str, sort: Sort) -> None:
    with pytest.raises(CopyRefused):
        list(Frames().feed(encoded(Item(path, sort, target="a"))))
    with pytest.raises(CopyRefused):
        list(Frames().feed(encoded(Item("a", Sort.SAME, target=path))))


@given(st.binary(max_size=200))
def test_what_is_no_frame_is_refused_or_waited_for(noise: bytes) -> None:
    try:
        list(Frames().feed(noise))
    except CopyRefused:
        return


PATHS = st.sets(
    st.lists(st.sampled_from([b"a", b"a.b", b"b", b"a-", b"z"]), min_size=1, max_size=3).map(b"/".join), max_size=12
)


@given(PATHS, PATHS)
def test_what_is_gone_is_told_once_and_with_all_that_was_in_it(before: set[bytes], now: set[bytes]) -> None:
    def closed(paths: set[bytes]) -> list[bytes]:
        parts = {b"/".join(path.split(b"/")[:n]) for path in paths for n in range(1, path.count(b"/") + 2)}
        return sorted(parts, key=order)

    old, new = closed(before), closed(now)
    former, gone, same = Former((path, b"x" * 16) for path in old), list[bytes](), list[bytes]()
    for path in new:
        gone += former.gone_before(path)
        if former.same(path, b"x" * 16):
            same.append(path)
    gone += former.gone_before(None)
    assert same == [path for path in new if path in old]
    lost = [path for path in old if path not in new]
    assert all(any(path == top or path.startswith(top + b"/") for top in gone) for path in lost)
    assert set(gone) <= set(lost)
    assert not any(one != top and one.startswith(top + b"/") for one in gone for top in gone)


def test_a_stamp_tells_what_a_program_cannot_set_back() -> None:
    one = stamp((1, 2, 3), "", quiet=True)
    assert one == stamp((1, 2, 3), "", quiet=True)
    assert one not in (stamp((1, 9, 3), "", quiet=True), stamp((1, 2, 3), "first", quiet=True))
    assert stamp((1, 2, 3), "", quiet=False) == BLANK
    former = Former(iter([(b"a", BLANK)]))
    assert not former.same(b"a", BLANK)
