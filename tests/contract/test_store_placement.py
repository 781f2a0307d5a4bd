"""What the store says of placements that the nodes' figures cannot show yet, over every database."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.nodes import AppRun, Placement, RuntimeNode
from daemons.deploy.ports import Store, Transaction

NODE = RuntimeNode(0, "n1", "http://a", "http://g", last_heartbeat_at=5000)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


async def test_a_placement_is_unseen_until_its_node_reports_after_the_deployment(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert_node(NODE)
        await tx.insert_node(replace(NODE, name="silent", last_heartbeat_at=None))
        for app_id, node_id, at in (
            ("long-ago", 1, 500),
            ("waits", 1, 1000),
            ("deployed", 1, 1000),
            ("deployed-since", 1, 2000),
            ("moved-here", 1, 4000),
            ("failed", 1, 4000),
            ("new", 1, 6000),
            ("elsewhere", 2, 3000),
            ("no-node", 9, 3000),
        ):
            await tx.put_placement(Placement(app_id, node_id, at))
        await tx.put_app_run(AppRun("deployed", 1, last_deployed_at=4999))
        await tx.put_app_run(AppRun("deployed-since", 1, last_deployed_at=5000))
        await tx.put_app_run(AppRun("moved-here", 2, last_deployed_at=3999))
        await tx.put_app_run(AppRun("failed", 1))
        await tx.put_app_run(AppRun("elsewhere", 2, last_deployed_at=4000))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.unseen_placements(1000, 100)) == {1: 5, 2: 1}
    assert await store.transact(lambda tx: tx.unseen_placements(6000, 100)) == {1: 1}
    assert await store.transact(lambda tx: tx.unseen_placements(1000, 3)) == {1: 3}, "only the newest are looked at"
    assert await store.transact(lambda tx: tx.unseen_placements(6001, 100)) == {}
