"""The number of apps on each node, as the event log leads to it."""

from collections.abc import AsyncIterator

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import Placement
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.census import Census
from daemons.deploy.services.journal import displace, place

ACTOR = Actor("test")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


async def put(store: Store, app_id: str, node_id: int) -> None:
    await store.transact(lambda tx: place(tx, Placement(app_id, node_id, 1), ACTOR))


async def test_counts_follow_placements_moves_and_deletes_by_the_log_alone(store: Store) -> None:
    census, seen = Census(), 0

    async def counted() -> dict[int, int]:
        nonlocal seen
        events = await store.transact(lambda tx: tx.events_after(seen, 100))
        seen = events[-1].seq if events else seen
        census.heard(events)
        return {node: apps for node, apps in (await store.transact(census.counts)).items() if apps}

    for number in range(3):
        await put(store, f"app-{number}", 1)
    assert await counted() == {1: 3}
    await put(store, "app-0", 2)
    await put(store, "new", 7)
    assert await counted() == {1: 2, 2: 1, 7: 1}
    await store.transact(lambda tx: displace(tx, "new", ACTOR))
    assert await counted() == {1: 2, 2: 1}

    async def behind_its_back(tx: Transaction) -> None:
        await tx.put_placement(Placement("unsaid", 3, 1))

    await store.transact(behind_its_back)
    assert await counted() == {1: 2, 2: 1}, "all are counted again only now and then"
    await put(store, "said", 3)
    assert await counted() == {1: 2, 2: 1, 3: 2}
