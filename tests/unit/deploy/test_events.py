"""Reading a log whose numbers become visible out of order."""

from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain.events import PATIENCE_SECONDS, Actor, Event, Tail, advance


def event(seq: int) -> Event:
    return Event("job", "created", "j", Actor("api"), "{}", seq, 0)


def read(tail: Tail, visible: set[int], moment: float) -> tuple[Tail, list[int]]:
    rows = [event(seq) for seq in sorted(visible) if seq > tail.seq]
    tail, shown = advance(tail, rows, moment)
    return tail, [each.seq for each in shown]


def test_a_hole_holds_back_what_follows_until_it_is_filled() -> None:
    tail, shown = read(Tail(0), {1, 3, 4}, 0.0)
    assert (shown, tail.seq) == ([1], 1)
    tail, shown = read(tail, {1, 2, 3, 4}, 1.0)
    assert (shown, tail.seq) == ([2, 3, 4], 4)


def test_a_hole_is_given_up_a_while_after_it_was_first_seen() -> None:
    tail, _ = read(Tail(0), {2}, 0.0)
    tail, shown = read(tail, {2, 4}, PATIENCE_SECONDS - 0.1)
    assert shown == []
    tail, shown = read(tail, {2, 4}, PATIENCE_SECONDS)
    assert shown == [2]
    tail, shown = read(tail, {2, 4}, 2 * PATIENCE_SECONDS - 0.05)
    assert shown == [4]


@given(st.permutations(range(1, 15)), st.sets(st.integers(1, 14)), st.data())
def test_whatever_the_order_of_commits_every_event_is_shown_once_and_in_order(
    order: list[int], rolled_back: set[int], data: st.DataObject
) -> None:
    visible: set[int] = set()
    tail, moment, shown = Tail(0), 0.0, []
    for seq in order:
        if seq not in rolled_back:
            visible.add(seq)
        if data.draw(st.booleans()):
            moment += 0.01
            tail, more = read(tail, visible, moment)
            shown += more
    for _ in range(2):
        tail, more = read(tail, visible, moment)
        shown += more
        moment += PATIENCE_SECONDS + 1
    tail, more = read(tail, visible, moment)
    shown += more
    assert shown == sorted(visible) and tail.sights == ()
