"""Which node an app goes to."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain import jobs, moves, placement
from daemons.deploy.domain.nodes import NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.placement import (
    Board,
    Decision,
    NodeDisabled,
    NodeFull,
    NodeStale,
    NoNode,
    choose,
    stable_hash,
    unseen_since,
)
from daemons.deploy.domain.views import placement_view
from protocol.errors import PlacementReason
from protocol.jobs import JobPayload, JobType

NOW = 1_000_000
POLICY = NodePolicy()
GIB = 1024**3


def node(number: int, **changes: object) -> RuntimeNode:
    made = RuntimeNode(number, f"n{number}", "http://a", "http://g", last_heartbeat_at=NOW, disk_free_pct=60.0)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "new_app", "redeploy"),
    [
        ({}, None, None),
        ({"enabled": False}, NodeDisabled, "node_disabled"),
        ({"agent_base_url": None}, NodeStale, "node_stale"),
        ({"gateway_base_url": ""}, NodeStale, "node_stale"),
        ({"last_heartbeat_at": None}, NodeStale, "node_stale"),
        ({"last_heartbeat_at": NOW - 45_000}, NodeStale, "node_stale"),
        ({"last_heartbeat_at": NOW - 44_999}, None, None),
        ({"last_heartbeat_at": NOW - 149_999, "interval_seconds": 60.0}, None, None),
        ({"last_heartbeat_at": NOW - 150_000, "interval_seconds": 60.0}, NodeStale, "node_stale"),
        ({"disk_free_pct": None}, None, None),
        ({"disk_free_pct": 25.0}, None, None),
        ({"disk_free_pct": 24.9}, NodeFull, None),
        ({"disk_free_pct": 15.0}, NodeFull, None),
        ({"disk_free_pct": 14.9}, NodeFull, "node_full"),
        ({"inodes_free_pct": 14.9}, NodeFull, "node_full"),
    ],
)
def test_which_nodes_may_take_an_app(
    changes: dict[str, object], new_app: type[Exception] | None, redeploy: str | None
) -> None:
    tried = node(1, **changes)
    obstacle = placement.obstacle_to_redeploy(tried, POLICY, NOW)
    assert (obstacle.reason.value if obstacle else None) == redeploy
    if new_app is None:
        placement.require_room(tried, POLICY, NOW)
        assert choose("a", [tried], {}, POLICY, NOW) is tried
        return
    with pytest.raises(new_app):
        placement.require_room(tried, POLICY, NOW)
    with pytest.raises(NoNode) as caught:
        choose("a", [tried], {}, POLICY, NOW)
    assert "n1" in str(caught.value)


def test_without_a_node_the_refusal_says_so() -> None:
    with pytest.raises(NoNode, match="none is registered"):
        choose("a", [], {}, POLICY, NOW)


def test_the_most_free_space_times_weight_wins() -> None:
    assert choose("a", [node(1), node(2, disk_free_pct=70.0)], {}, POLICY, NOW).id == 2
    assert choose("a", [node(1, weight=200), node(2, disk_free_pct=70.0)], {}, POLICY, NOW).id == 1
    assert choose("a", [node(1, disk_free_pct=None), node(2)], {}, POLICY, NOW).id == 2
    sized = [node(1, disk_free_bytes=900 * GIB), node(2, disk_free_pct=90.0, disk_free_bytes=100 * GIB)]
    assert choose("a", sized, {}, POLICY, NOW).id == 1


def test_placements_that_the_figures_do_not_show_yet_count() -> None:
    nodes = [node(1, disk_free_pct=61.5), node(2)]
    assert [choose("a", nodes, {1: count}, POLICY, NOW).id for count in (0, 1, 2)] == [1, 1, 2]


@given(st.integers(1, 6), st.integers(0, 60))
def test_a_burst_over_equal_nodes_is_even(count: int, apps: int) -> None:
    nodes = [node(number, disk_free_bytes=500 * GIB, disk_total_bytes=1000 * GIB) for number in range(1, count + 1)]
    unseen: Counter[int] = Counter()
    for number in range(apps):
        unseen[choose(f"app{number}", nodes, unseen, POLICY, NOW).id] += 1
    spread = [unseen[each.id] for each in nodes]
    assert max(spread) - min(spread) <= 1


def test_a_batch_of_decisions_chooses_as_single_ones_do() -> None:
    nodes = [node(number, disk_free_pct=50.0 + 3 * number, weight=50 * number) for number in range(1, 6)]
    board, unseen = Board(nodes, {2: 3}, POLICY, NOW), Counter({2: 3})
    for number in range(300):
        alone = choose(f"app{number}", nodes, unseen, POLICY, NOW)
        assert board.best(f"app{number}") is board.choose(f"app{number}") is alone
        unseen[alone.id] += 1
    by_hash = Board(nodes, {}, NodePolicy(disk_aware=False), NOW)
    assert by_hash.choose("hello world").id == choose("hello world", nodes, {}, NodePolicy(disk_aware=False), NOW).id
    with pytest.raises(NoNode, match="n1: disabled"):
        Board([node(1, enabled=False)], {}, POLICY, NOW).choose("a")


def remaining(each: RuntimeNode, apps: float) -> float:
    """Weight x predicted free space as the architecture defines it, in percent points."""
    free = (each.disk_free_pct or 0) - apps
    return free * each.weight if free >= 0 else free / each.weight


def fair_share(each: RuntimeNode, level: float) -> float:
    """How many apps, in fractions, bring the node's score down to the level."""
    free = each.disk_free_pct or 0
    return max(0.0, free - (level / each.weight if level >= 0 else level * each.weight))


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.floats(25, 100)), min_size=1, max_size=12),
    st.integers(1, 400),
)
def test_nobody_gets_more_than_his_share_and_one_app_whatever_weights_and_sizes(
    machines: list[tuple[int, float]], apps: int
) -> None:
    nodes = [node(n + 1, weight=weight, disk_free_pct=free) for n, (weight, free) in enumerate(machines)]
    board, got = Board(nodes, {}, POLICY, NOW), Counter[int]()
    for number in range(apps):
        got[board.choose(f"app{number}").id] += 1
    low, high = min(remaining(each, 10.0 * apps) for each in nodes), max(remaining(each, 0) for each in nodes)
    for _ in range(300):
        level = (low + high) / 2
        low, high = (level, high) if sum(fair_share(each, level) for each in nodes) > apps else (low, level)
    assert all(got[each.id] <= fair_share(each, low) + 1.001 for each in nodes)
    for one, other in itertools.pairwise(sorted(nodes, key=lambda each: each.weight)):
        if one.disk_free_pct == other.disk_free_pct:
            assert got[one.id] <= got[other.id] + 1, "a greater weight never gets less"


@pytest.mark.parametrize("every", [1, 2, 1000])
def test_a_burst_within_one_interval_spreads_though_nodes_report_in_the_middle_of_it(every: int) -> None:
    """A thousand apps over ten equal nodes in 10 s, every so-manieth deployed at once. Each node reports at a moment of
    its own, and from then on its figures show what was deployed by then."""
    size, got = 500 * GIB, Counter[int]()
    nodes = {
        number: node(number, disk_free_bytes=size, disk_total_bytes=size, disk_free_pct=100.0)
        for number in range(1, 11)
    }
    unseen: Counter[int] = Counter()
    for number in range(1000):
        if number % 100 == 50:
            beating = 1 + number // 100
            shown = got[beating] // every
            nodes[beating] = replace(nodes[beating], disk_free_bytes=size - shown * size // 100)
            unseen[beating] = got[beating] - shown
        home = choose(f"app{number}", list(nodes.values()), unseen, POLICY, NOW).id
        got[home] += 1
        unseen[home] += 1
    assert max(got.values()) <= 115


def test_placements_count_for_two_minutes_or_as_long_as_the_slowest_node_is_silent() -> None:
    assert unseen_since([], POLICY, NOW) == NOW - 120_000
    assert unseen_since([node(1), node(2, last_heartbeat_at=None)], POLICY, NOW) == NOW - 120_000
    slow = node(2, last_heartbeat_at=NOW - 500_000, interval_seconds=300.0)
    assert unseen_since([node(1), slow], POLICY, NOW) == NOW - 500_000
    assert unseen_since([node(1), node(2, last_heartbeat_at=NOW - 500_000)], POLICY, NOW) == NOW - 120_000


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ({}, {"disk_free_pct": 59.0}, False),
        ({"last_heartbeat_at": NOW - 99_000}, {}, True),
        ({"disk_free_pct": 20.0}, {"disk_free_pct": 30.0}, True),
        ({"disk_free_pct": 10.0}, {"disk_free_pct": 20.0}, True),
        ({"disk_free_pct": 20.0}, {"disk_free_pct": 19.0}, False),
        ({"disk_free_pct": 30.0}, {"disk_free_pct": 20.0}, False),
        ({"enabled": False}, {"enabled": False, "disk_free_pct": 90.0}, False),
    ],
)
def test_a_heartbeat_is_news_when_the_node_takes_apps_again(
    before: dict[str, object], after: dict[str, object], news: bool
) -> None:
    assert placement.takes_more(node(1, **before), node(1, **after), POLICY, NOW) is news


def test_without_figures_and_by_strategy_the_hash_decides() -> None:
    blank = [node(number, disk_free_pct=None) for number in (1, 2, 3)]
    assert {choose(f"app{number}", blank, {}, POLICY, NOW).id for number in range(50)} == {1, 2, 3}
    by_hash = NodePolicy(disk_aware=False)
    filled = [node(1, disk_free_pct=26.0), node(2, disk_free_pct=99.0)]
    assert {choose(f"app{number}", filled, {}, by_hash, NOW).id for number in range(50)} == {1, 2}


def slugs(decision: Decision) -> list[str]:
    assert all(each.words for each in decision.reasons)
    return [str(each.slug) for each in decision.reasons]


def test_a_placement_says_why_there_and_why_not_elsewhere() -> None:
    others = [node(7, enabled=False), node(8, last_heartbeat_at=NOW - 99_000), node(9, disk_free_pct=9.0)]
    board = Board([node(1), node(2, disk_free_pct=80.0, disk_free_bytes=800 * GIB), *others], {2: 4}, POLICY, NOW)
    found = board.decide("a")
    assert found.node.id == 2 and slugs(found) == ["most_room", "node_disabled", "node_stale", "node_full"]
    words = (
        "of the 2 nodes that could take it n2 had the most room for its weight: 80.0 % or 800.0 GiB free, weight 100"
    )
    assert found.reasons[0].words == f"{words}, 4 apps that its figures do not show yet"
    assert board.decide("b").reasons[0].words.endswith("5 apps that its figures do not show yet")
    assert slugs(Board([node(1), *others[:1]], {}, POLICY, NOW).decide("a")) == ["only_node", "node_disabled"]
    blank = [node(1, disk_free_pct=None), node(2, disk_free_pct=None)]
    assert "none tells" in Board(blank, {}, POLICY, NOW).decide("a").reasons[0].words
    assert slugs(Board([node(1), node(2)], {}, NodePolicy(disk_aware=False), NOW).decide("a")) == ["by_hash"]


def test_of_a_large_fleet_a_few_are_named() -> None:
    fleet = [node(1), *(node(number, enabled=False) for number in range(2, 1001))]
    found = Board(fleet, {}, POLICY, NOW).decide("a")
    assert len(found.reasons) == 6 and found.reasons[-1].words.endswith("and 994 more could not take it")


def test_every_reason_of_a_placement_has_a_state() -> None:
    job = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a"), NOW)
    drained = replace(job, payload={**job.payload, "drainId": 5})
    full = [node(7, enabled=False), node(8, last_heartbeat_at=None), node(9, disk_free_pct=9.0)]
    found = [
        *slugs(Board([node(1), node(2), *full], {}, POLICY, NOW).decide("a")),
        *slugs(Board([node(1), node(2)], {}, NodePolicy(disk_aware=False), NOW).decide("a")),
        *slugs(Board([node(1)], {}, POLICY, NOW).decide("a")),
    ]
    told = [
        *placement.reassigned(node(1), "admin"),
        *placement.reassigned(node(1), "admin", node(2)),
        *moves.reasons_of(job, "n1", "n2"),
        *moves.reasons_of(drained, "n1", "n2"),
        *moves.moved_without_a_job(5, node(2), "it was stopped"),
    ]
    assert [each.words for each in told] == [
        "admin moved it to n1",
        "admin moved it to n1 with other apps of n2",
        "job j1 moved it from n1 to n2: n1 was being drained when it was deployed",
        "job j1 moved it from n1 to n2: drain 5 ordered it",
        "drain 5 moved it to n2 without a job: it was stopped",
    ]
    (unrecorded,) = placement_view(Placement("a", 1, NOW)).reasons
    found += [*(str(each.slug) for each in told), unrecorded.reason]
    assert set(found) == {each.value for each in PlacementReason}


@pytest.mark.parametrize(("text", "value"), [("", 0), ("a", 97), ("20001", 47653683), ("hello world", 1794106052)])
def test_the_hash_is_the_one_that_is_documented(text: str, value: int) -> None:
    assert stable_hash(text) == value


@given(st.text(max_size=60), st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_the_choice_is_always_a_fit_node_and_does_not_depend_on_the_order(text: str, free: list[float]) -> None:
    nodes = [node(number + 1, disk_free_pct=value) for number, value in enumerate(free)]
    fit = {each.id for each in nodes if (each.disk_free_pct or 0) >= 25}
    if not fit:
        with pytest.raises(NoNode):
            choose(text, nodes, {}, POLICY, NOW)
        return
    assert choose(text, nodes, {}, POLICY, NOW).id in fit
    assert choose(text, nodes, {}, POLICY, NOW) == choose(text, nodes[::-1], {}, POLICY, NOW)
