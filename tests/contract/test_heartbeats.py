"""Heartbeats that are written in groups, over every database and two replicas on one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from daemons.deploy.adapters.store import SqlStore, open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import AppRun, NodeDeleted, NodePolicy, Placement, RuntimeNode, Tombstone
from daemons.deploy.ports import StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.registry import NodeRegistry
from protocol.nodes import NodeHeartbeat, UpsertNode

POLICY = NodePolicy(stale_ms=45_000)
OPERATOR = Actor("admin")


@dataclass
class Counting:
    """The store, which counts transactions and can be away."""

    inner: SqlStore
    transactions: int = 0
    away: bool = False

    async def transact(self, work: Callable[[Transaction], Awaitable[object]]) -> object:
        self.transactions += 1
        if self.away:
            raise StoreUnavailable("away")
        return await self.inner.transact(work)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    async with open_store(database_url) as opened:
        yield opened


def beat(name: str = "n1", /, **figures: object) -> NodeHeartbeat:
    """A heartbeat of a node with room, unless told otherwise."""
    body = {"nodeName": name, "agentBaseUrl": "http://a", "gatewayBaseUrl": "http://a:80"}
    return NodeHeartbeat.model_validate({**body, "diskFreePct": 60.0, **figures})


def registry(store: SqlStore | Counting, apart: float = 0.05) -> NodeRegistry:
    return NodeRegistry(store, Bells(), POLICY, apart)  # type: ignore[arg-type]


async def rows(store: SqlStore) -> dict[str, RuntimeNode]:
    return {node.name: node for node in await store.transact(lambda tx: tx.nodes())}


async def changes(store: SqlStore) -> list[tuple[str, str]]:
    events = await store.transact(lambda tx: tx.events_after(0, 100))
    return [(event.change, event.subject) for event in events if event.kind == "node"]


async def test_many_heartbeats_share_a_transaction_and_keep_every_figure(store: SqlStore) -> None:
    counting = Counting(store)
    nodes = registry(counting)
    names = [f"n{number}" for number in range(20)]
    await asyncio.gather(*(nodes.heartbeat(beat(name)) for name in names))
    counting.transactions = 0
    said: dict[str, object] = {"diskFreeBytes": 3 * 10**12, "diskTotalBytes": 5 * 10**12, "containerCount": 0}
    said |= {"diskFreePct": 33.333333333333336, "inodesFreePct": 12.345678901234567, "version": "“é”"}
    said |= {"intervalSeconds": 0.1, "inodesTotal": 2**40, "inodesFree": 0, "labels": ("ssd", "gpu")}
    answers = await asyncio.gather(*(nodes.heartbeat(beat(name, **said)) for name in names))
    assert counting.transactions <= 2, "the first, and all the others"
    assert {node.name: node for node in answers} == await rows(store), "what was answered is written"
    node = answers[7]
    assert (node.disk_free_pct, node.disk_free_bytes, node.disk_total_bytes) == (33.333333333333336, 3e12, 5e12)
    assert (node.inodes_free_pct, node.container_count) == (12.345678901234567, 0)
    assert (node.interval_seconds, node.version) == (0.1, "“é”")
    assert (node.inodes_total, node.inodes_free, node.labels) == (2**40, 0, ("gpu", "ssd"))
    silent = await nodes.heartbeat(beat("n7", diskFreePct=None))
    assert (silent.inodes_total, silent.inodes_free, silent.labels) == (None, None, ("gpu", "ssd"))
    assert (silent.disk_free_pct, silent.disk_free_bytes, silent.container_count, silent.version) == (None,) * 4
    assert silent == (await rows(store))["n7"], "a figure that is absent now is unknown now"
    assert len(await changes(store)) == 20


async def test_a_group_leaves_alone_what_an_operator_or_another_replica_wrote_meanwhile(store: SqlStore) -> None:
    here, there = registry(store), registry(store)
    for name in ("cordoned", "heavier", "moved", "plain"):
        await here.heartbeat(beat(name))
    await here.heartbeat(beat("plain"))
    await there.set_enabled("cordoned", enabled=False, actor=OPERATOR)
    order = UpsertNode(name="heavier", weight=7, agent_base_url="http://a", gateway_base_url="http://a:80")
    await there.upsert(order, OPERATOR)
    await there.heartbeat(beat("moved", agentBaseUrl="http://b"))
    names = ("cordoned", "heavier", "moved", "plain")
    found = await rows(store)
    async with asyncio.timeout(60):
        # A heartbeat's time may be rounded to before one that another replica took milliseconds ago: agents call again.
        while found["moved"].agent_base_url != "http://a" or any(n.container_count != 3 for n in found.values()):
            await asyncio.gather(*(here.heartbeat(beat(name, containerCount=3)) for name in names))
            found = await rows(store)
    assert not found["cordoned"].enabled and found["heavier"].weight == 7
    assert [change for change, _ in await changes(store)][-4:] == ["disabled", "edited", "moved", "moved"]


async def test_a_deleted_node_stays_away_and_the_others_of_its_group_do_not_notice(store: SqlStore) -> None:
    nodes = registry(store)
    for name in ("n1", "n2", "n3"):
        await nodes.heartbeat(beat(name))
    await nodes.heartbeat(beat("n1"))
    gone = (await rows(store))["n2"]

    async def delete(tx: Transaction) -> None:
        await tx.delete_node(gone.id)
        await tx.insert_tombstone(Tombstone("n2", gone.id, "admin", await tx.now()))

    await store.transact(delete)
    found = await asyncio.gather(
        *(nodes.heartbeat(beat(name, containerCount=9)) for name in ("n1", "n2", "n3")), return_exceptions=True
    )
    assert isinstance(found[1], NodeDeleted)
    assert {name: node.container_count for name, node in (await rows(store)).items()} == {"n1": 9, "n3": 9}
    with pytest.raises(NodeDeleted):
        await nodes.heartbeat(beat("n2"))


@pytest.mark.parametrize("news", ["silent", "full"])
async def test_a_node_that_may_take_apps_again_does_not_wait_for_a_group(store: SqlStore, news: str) -> None:
    nodes = registry(store, apart=3600)
    await nodes.heartbeat(beat("n1", diskFreePct=5.0 if news == "full" else 60.0))
    await nodes.heartbeat(beat("n1", diskFreePct=5.0 if news == "full" else 60.0))
    if news == "silent":
        long_ago = (await rows(store))["n1"]
        then = replace(long_ago, last_heartbeat_at=(long_ago.last_heartbeat_at or 0) - 50_000)
        await store.transact(lambda tx: tx.save_node(then))
        nodes = registry(store, apart=3600)
    async with asyncio.timeout(60):
        again = await nodes.heartbeat(beat("n1", diskFreePct=60.0))
        assert again == (await rows(store))["n1"]


async def test_a_heartbeat_counts_from_its_arrival_so_that_figures_of_before_do_not_pass_for_later_ones(
    store: SqlStore,
) -> None:
    nodes = registry(store, apart=0.4)
    node = await nodes.heartbeat(beat())
    await nodes.heartbeat(beat())
    # Times are rounded down to milliseconds: within one, the later heartbeat may count as overtaken.
    await asyncio.sleep(0.01)
    waiting = asyncio.ensure_future(nodes.heartbeat(beat(containerCount=1)))
    await asyncio.sleep(0.05)

    async def deploy(tx: Transaction) -> int:
        now = await tx.now()
        await tx.put_placement(Placement("app", node.id, now - 1000))
        await tx.put_app_run(AppRun("app", node.id, last_deployed_at=now))
        return now

    deployed = await store.transact(deploy)
    after = await waiting
    assert after.container_count == 1 and (after.last_heartbeat_at or 0) <= deployed
    assert await store.transact(lambda tx: tx.unseen_placements(0, 10)) == {node.id: 1}, "they cannot show it"
    await asyncio.sleep(0.01)
    await nodes.heartbeat(beat())
    assert await store.transact(lambda tx: tx.unseen_placements(0, 10)) == {}


async def test_the_interval_of_an_agent_that_tells_none_is_seen_in_groups_too(store: SqlStore) -> None:
    nodes = registry(store)
    before = await nodes.heartbeat(beat())
    await asyncio.sleep(0.2)
    after = await nodes.heartbeat(beat())
    apart = (after.last_heartbeat_at or 0) - (before.last_heartbeat_at or 0)
    assert after.interval_seconds == apart / 1000 >= 0.19


async def test_a_group_that_cannot_be_written_is_refused_and_nothing_of_it_is_lost_later(store: SqlStore) -> None:
    counting = Counting(store)
    nodes = registry(counting)
    for name in ("n1", "n2"):
        await nodes.heartbeat(beat(name))
    counting.away = True
    found = await asyncio.gather(
        *(nodes.heartbeat(beat(name, containerCount=4)) for name in ("n1", "n2")), return_exceptions=True
    )
    assert all(isinstance(each, StoreUnavailable) for each in found)
    counting.away = False
    assert (await nodes.heartbeat(beat("n1", containerCount=5))).container_count == 5
    assert {name: node.container_count for name, node in (await rows(store)).items()} == {"n1": 5, "n2": None}


async def test_what_a_process_knows_of_the_nodes_is_at_most_a_second_old_and_has_all_that_it_wrote(
    database_url: str, store: SqlStore
) -> None:
    nodes = registry(store)
    await nodes.heartbeat(beat())
    assert [node.name for node in await store.transact(lambda tx: tx.nodes_lately())] == ["n1"]
    known = await store.transact(lambda tx: tx.nodes_lately())
    assert await store.transact(lambda tx: tx.nodes_lately()) is known
    await nodes.set_enabled("n1", enabled=False, actor=OPERATOR)
    assert [node.enabled for node in await store.transact(lambda tx: tx.nodes_lately())] == [False]

    async def inside(tx: Transaction) -> list[bool]:
        node = (await tx.nodes())[0]
        await tx.save_node(replace(node, enabled=True))
        return [each.enabled for each in await tx.nodes_lately()]

    assert await store.transact(inside) == [True], "a transaction sees what it wrote"
    if database_url.endswith(":memory:"):
        return
    async with open_store(database_url) as other:
        await registry(other).set_enabled("n1", enabled=False, actor=OPERATOR)
        await asyncio.sleep(1.05)
    assert [node.enabled for node in await store.transact(lambda tx: tx.nodes_lately())] == [False]
