"""Moving an app while a claim of its job is under way in another replica."""

import asyncio
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import AppBusy, Job
from daemons.deploy.domain.nodes import NodePolicy, Placement
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.placements import Placements
from protocol.jobs import JobStatus
from tests.contract.test_store import NODE, insert, job
from tests.support.line import claimable

POLICY = NodePolicy(stale_ms=45_000, disk_min_pct=15.0, disk_drain_pct=25.0, disk_aware=True, watched=False)


async def prepare(store: Store) -> None:
    """Two nodes with room, and an app with a pending job on the first."""

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        for name in ("n1", "n2"):
            url = f"http://{name}:7005"
            node = replace(NODE, name=name, agent_base_url=url, gateway_base_url=url, last_heartbeat_at=now)
            assert await tx.insert_node(node)
        await tx.put_placement(Placement("shop", 1, now, now))

    await store.transact(work)
    await insert(store, job(1, "shop"))


@pytest.mark.real
@pytest.mark.parametrize("drain", [True, False])
async def test_an_app_is_not_moved_away_from_the_node_that_a_claim_just_chose(mysql_url: str, drain: bool) -> None:
    async with open_store(mysql_url) as store, open_store(mysql_url) as replica:
        await prepare(store)
        placements = Placements(replica, Bells(), POLICY)
        chosen = asyncio.Event()
        go_on = asyncio.Event()

        async def claim(tx: Transaction) -> Job:
            [was] = await claimable(tx, 1, await tx.now())
            chosen.set()
            await go_on.wait()
            claimed = replace(was, status=JobStatus.RUNNING, runner_id="r1", version=was.version + 1)
            assert await tx.save_job(claimed, was)
            return claimed

        async with asyncio.TaskGroup() as group:
            group.create_task(store.transact(claim))
            await chosen.wait()
            move = group.create_task(_move(placements, drain=drain))
            await asyncio.wait({move}, timeout=0.5)
            go_on.set()
        assert move.result() == 0
        placement = await store.transact(lambda tx: tx.placement("shop"))
        assert placement is not None and placement.node_id == 1


async def _move(placements: Placements, *, drain: bool) -> int:
    if drain:
        return await placements.drain(1, 2, 10, Actor("admin"))
    try:
        await placements.reassign("shop", 2, Actor("admin"))
    except AppBusy:
        return 0
    return 1
