"""Where new users go, and why not elsewhere."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.api.domain.workspaces import (
    Load,
    NoWorkspaceNode,
    PlacementPolicy,
    Users,
    WorkspaceNode,
    choose,
    health,
    obstacle,
)
from protocol.workspace_nodes import WorkspaceNodeHealth

NOW = 1_000_000_000
POLICY = PlacementPolicy()


def node(number: int, running: int | None = 0, **more: Any) -> WorkspaceNode:
    load = Load(running=running, frozen=0, disk_free_bytes=50, disk_total_bytes=100)
    made = WorkspaceNode(number, f"ws-{number}", "http://gate", "http://api", heard_at=NOW - 1000, load=load)
    return replace(made, **more)


def test_the_least_busy_for_its_weight_wins() -> None:
    assert choose([node(1, 5), node(2, 4)], {}, POLICY, NOW).id == 2
    assert choose([node(1, 5, weight=200), node(2, 4)], {}, POLICY, NOW).id == 1


def test_frozen_containers_are_a_quarter_of_a_load() -> None:
    frozen = node(1, load=Load(running=0, frozen=8))
    assert choose([frozen, node(2, 3)], {}, POLICY, NOW).id == 1
    assert choose([frozen, node(2, 1)], {}, POLICY, NOW).id == 2


def test_of_equals_the_one_with_more_disk_then_the_first() -> None:
    roomy = node(2, load=Load(running=0, disk_free_bytes=60, disk_total_bytes=100))
    assert choose([node(1), roomy], {}, POLICY, NOW).id == 2
    assert choose([node(2), node(1)], {}, POLICY, NOW).id == 1


def test_users_that_no_figure_shows_yet_count() -> None:
    assert choose([node(1, 1), node(2, 3)], {1: Users(9, 5)}, POLICY, NOW).id == 2


def test_a_node_that_tells_nothing_is_judged_by_its_users() -> None:
    silent = node(1, load=Load())
    assert choose([silent, node(2, 4)], {1: Users(3, 0)}, POLICY, NOW).id == 1
    assert choose([silent, node(2, 4)], {1: Users(5, 0)}, POLICY, NOW).id == 2


@pytest.mark.parametrize(
    ("unfit", "why"),
    [
        ({"enabled": False}, "disabled"),
        ({"heard_at": None}, "never heard of"),
        ({"heard_at": NOW - 60_001}, "60 s ago"),
        ({"nginx_base_url": ""}, "addresses"),
        ({"load": Load(disk_free_bytes=149, disk_total_bytes=1000)}, "14 % of its disk"),
    ],
)
def test_a_node_that_is_not_fit_is_left_out_and_says_why(unfit: dict[str, Any], why: str) -> None:
    assert why in (obstacle(node(1, **unfit), POLICY, NOW) or "")
    assert choose([node(1, **unfit), node(2, 99)], {}, POLICY, NOW).id == 2
    with pytest.raises(NoWorkspaceNode, match=f"ws-1.*{why}"):
        choose([node(1, **unfit)], {}, POLICY, NOW)


def test_the_lines_are_where_they_are_said_to_be() -> None:
    assert obstacle(node(1, load=Load(disk_free_bytes=150, disk_total_bytes=1000)), POLICY, NOW) is None
    assert obstacle(node(1, heard_at=NOW - 60_000), POLICY, NOW) is None
    slow = node(1, heard_at=NOW - 99_000, interval_seconds=40)
    assert health(slow, POLICY, NOW) is WorkspaceNodeHealth.HEALTHY


FULL = PlacementPolicy(most_running=10)


@pytest.mark.parametrize(
    ("nodes", "users", "wins"),
    [
        ([node(1, 10, weight=10_000), node(2, 9)], {}, 2),
        ([node(1, 9, weight=10_000), node(2, 0)], {}, 1),
        ([node(1, 9, weight=10_000), node(2, 5)], {1: Users(9, 1)}, 2),
        ([node(1, None, load=Load(), weight=10_000), node(2, 5)], {1: Users(10, 0)}, 2),
        # What sleeps takes no room for a run.
        ([node(1, load=Load(running=0, frozen=50)), node(2, 10)], {}, 1),
        # Nobody is turned away who may only want to edit files.
        ([node(1, 30), node(2, 12)], {}, 2),
    ],
)
def test_nodes_without_room_for_a_run_come_last(nodes: list[WorkspaceNode], users: dict[int, Users], wins: int) -> None:
    assert choose(nodes, users, FULL, NOW).id == wins
    assert choose([replace(each, enabled=each.id != wins) for each in nodes], users, FULL, NOW).id != wins


def test_without_nodes_the_reason_is_that() -> None:
    with pytest.raises(NoWorkspaceNode, match="none is registered"):
        choose([], {}, POLICY, NOW)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 60))
def test_a_burst_leaves_no_node_more_than_one_above_another_that_was_as_busy(loads: list[int], burst: int) -> None:
    nodes = [node(number, load) for number, load in enumerate(loads, 1)]
    users: dict[int, Users] = {}
    for _ in range(burst):
        chosen = choose(nodes, users, POLICY, NOW).id
        users[chosen] = Users(0, users.get(chosen, Users()).unseen + 1)
    busy = {each.id: loads[each.id - 1] + users.get(each.id, Users()).unseen for each in nodes}
    took = [number for number in busy if number in users]
    assert max(busy[number] for number in took) <= min(busy.values()) + 1
