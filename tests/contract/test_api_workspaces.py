"""Workspace nodes and placements over every database: heard of, placed once, moved by one of many."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlUsers
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.workspaces import (
    Beat,
    Load,
    NoWorkspaceNode,
    Placement,
    PlacementChanged,
    PlacementPolicy,
    UnknownWorkspaceNode,
    Users,
    WorkspaceNode,
    WorkspaceNodeNameTaken,
    choose,
)
from daemons.kit.sql import Database, migrate, open_database

LOAD = Load(3, 2, 1, 60, 100, "image", "1.2.3")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        yield database


@pytest.fixture
def store(database: Database) -> SqlWorkspaces:
    return SqlWorkspaces(database)


def beat(name: str, load: Load = LOAD) -> Beat:
    return Beat(name, f"http://{name}:80", f"http://{name}:7001", 10, load)


def by_rule(nodes: Sequence[WorkspaceNode], users: Mapping[int, Users], now: int) -> WorkspaceNode:
    return choose(nodes, users, PlacementPolicy(), now)


async def test_a_node_is_made_by_its_first_beat_and_keeps_what_operators_said(store: SqlWorkspaces) -> None:
    first = await store.hear(beat("ws-1"))
    assert (first.name, first.enabled, first.weight, first.load) == ("ws-1", True, 100, LOAD)
    assert first.heard_at is not None
    await store.enable(first.id, enabled=False)
    await store.save(WorkspaceNode(first.id, "ws-1", "http://a", "http://b", False, 7))
    again = await store.hear(beat("ws-1", Load()))
    assert (again.id, again.enabled, again.weight, again.load) == (first.id, False, 7, Load())
    assert again.api_base_url == "http://ws-1:7001"


async def test_first_beats_at_once_make_one_node(store: SqlWorkspaces) -> None:
    heard = await asyncio.gather(*(store.hear(beat("ws-1")) for _ in range(8)))
    assert len({node.id for node in heard}) == 1


async def test_operators_add_change_and_rename_nodes(store: SqlWorkspaces) -> None:
    made = await store.save(WorkspaceNode(0, "ws-1", "http://a", "http://b", False, 50))
    assert (made.enabled, made.heard_at) == (False, None)
    assert (await store.save(WorkspaceNode(0, "ws-1", "http://c", "http://b", True, 50))).id == made.id
    assert (await store.save(WorkspaceNode(made.id, "ws-2", "http://c", "http://b"))).name == "ws-2"
    other = await store.save(WorkspaceNode(0, "ws-1", "http://a", "http://b"))
    with pytest.raises(WorkspaceNodeNameTaken):
        await store.save(WorkspaceNode(other.id, "ws-2", "http://a", "http://b"))
    with pytest.raises(UnknownWorkspaceNode):
        await store.save(WorkspaceNode(99, "ws-3", "http://a", "http://b"))
    with pytest.raises(UnknownWorkspaceNode):
        await store.enable(99, enabled=True)
    with pytest.raises(UnknownWorkspaceNode):
        await store.node(99)


async def test_a_user_is_placed_once_by_however_many_calls(store: SqlWorkspaces) -> None:
    for name in ("ws-1", "ws-2"):
        await store.hear(beat(name))
    assert await store.placement(7) is None
    placed = await asyncio.gather(*(store.place(7, by_rule) for _ in range(8)))
    assert len({placement.node_id for placement, _ in placed}) == 1
    found = await store.placement(7)
    assert found is not None
    assert (found[0].epoch, found[1].id) == (1, found[0].node_id)


async def test_a_burst_spreads_over_the_nodes(store: SqlWorkspaces) -> None:
    for name in ("ws-1", "ws-2"):
        await store.hear(beat(name))
    placed = await asyncio.gather(*(store.place(user, by_rule) for user in range(1, 11)))
    held = [sum(node.name == name for _, node in placed) for name in ("ws-1", "ws-2")]
    assert held == [5, 5]


async def test_without_a_node_nobody_is_placed(store: SqlWorkspaces) -> None:
    with pytest.raises(NoWorkspaceNode):
        await store.place(7, by_rule)
    assert await store.look(7) is None


async def test_of_two_moves_at_once_one_is_told(store: SqlWorkspaces) -> None:
    source, target = await store.hear(beat("ws-1")), await store.hear(beat("ws-2"))
    placement, _ = await store.place(7, lambda nodes, users, now: nodes[0])
    moves = await asyncio.gather(*(store.move(placement, target.id) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, PlacementChanged) for each in moves) == 3
    assert [each.epoch for each in moves if isinstance(each, Placement)] == [2]
    assert (await store.placements(source.id, 0, 10))[0] == 0
    total, items = await store.placements(target.id, 0, 10)
    assert (total, items[0].epoch) == (1, 2)


async def test_placements_come_in_pages_and_are_counted(store: SqlWorkspaces, database: Database) -> None:
    node = await store.hear(beat("ws-1"))
    for user in (5, 3, 4):
        await SqlUsers(database).ensure(user, f"user{user}")
        await store.place(user, by_rule)
    total, items = await store.placements(node.id, 1, 1)
    assert (total, [each.user_id for each in items]) == (3, [4])
    nodes, users, now = await store.nodes()
    assert [each.id for each in nodes] == [node.id]
    assert users[node.id].assigned == 3
    assert now >= (node.heard_at or 0)
    assert await store.users() == 3
