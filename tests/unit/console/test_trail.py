"""The trail of visited pages: back, forward, out, and what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from console.live.trail import Place, Trail, Visit

START = Trail((Visit(Place("jobs"), ("Jobs",)),))
NODE = Place("node", "1")


def test_one_leads_in_and_comes_back() -> None:
    at_node = START.begun(Place("nodes"), "Nodes").into(NODE, "n1")
    assert at_node.here.crumbs == ("Nodes", "n1")
    app = at_node.into(Place("app", "20001"), "app 20001")
    assert app.here.crumbs == ("Nodes", "n1", "app 20001")
    assert app.back().here.place == NODE
    assert app.back().forward().here.place == Place("app", "20001")
    assert app.back().back().back().back().here.place == Place("jobs")


def test_out_goes_one_crumb_up_whatever_was_visited_in_between() -> None:
    trail = START.into(Place("job", "a"), "job a").back().into(Place("job", "b"), "job b")
    assert trail.out().here.place == Place("jobs")
    assert trail.begun(Place("nodes"), "Nodes").out().here.place == Place("nodes"), "nothing is above a view"


def test_another_way_forgets_the_pages_after_it() -> None:
    trail = START.into(Place("job", "a"), "job a").back().into(Place("job", "b"), "job b")
    assert Place("job", "a") not in trail.places()
    assert trail.forward() == trail


def test_to_go_where_one_is_changes_nothing() -> None:
    assert START.begun(Place("jobs"), "Jobs") == START


@given(
    st.lists(st.tuples(st.sampled_from(["begun", "into", "back", "forward", "out"]), st.integers(0, 5)), max_size=200)
)
def test_one_is_always_somewhere_and_the_trail_is_bounded(steps: list[tuple[str, int]]) -> None:
    trail = START
    for step, number in steps:
        if step in ("begun", "into"):
            place = Place("jobs" if step == "begun" else "job", "" if step == "begun" else str(number))
            before = trail.here
            trail = getattr(trail, step)(place, str(number))
            assert trail.here.place == place
            assert before.place == place or trail.back().here == before
        else:
            trail = getattr(trail, step)()
        assert 0 <= trail.at < len(trail.visits) <= 50
        assert trail.here.place in trail.places()
