"""What the store says of placements that the nodes' figures cannot show yet, over every database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.nodes import AppRun, Placement, Reason, RuntimeNode, ServingNode
from daemons.deploy.domain.waiting import Past
from daemons.deploy.ports import Store, Transaction
from daemons.kit.sql import Queries, load_queries, open_database
from protocol.jobs import JobStatus
from tests.contract.test_store import job

MOVE_AS_BEFORE = "UPDATE fun_ai_deploy_runtime_placement SET node_id = :node_id WHERE app_id = :app_id;"
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


async def test_visitors_are_led_to_where_an_app_came_up_or_else_to_where_it_will(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert_node(NODE)
        await tx.insert_node(replace(NODE, name="n2", gateway_base_url=None))
        for app_id, node_id in (("moved", 2), ("new", 2), ("failed", 1), ("left", 2), ("nowhere", 9)):
            await tx.put_placement(Placement(app_id, node_id, 1000))
        await tx.put_app_run(AppRun("moved", 1, last_deployed_at=4000))
        await tx.put_app_run(AppRun("failed", 2))
        await tx.put_app_run(AppRun("left", 9, last_deployed_at=4000))
        await tx.put_app_run(AppRun("unplaced", 1, last_deployed_at=4000))

    await store.transact(work)

    async def led(app_id: str) -> ServingNode | None:
        return await store.transact(lambda tx: tx.serving_node(app_id))

    first, second = ServingNode("n1", "http://a", "http://g"), ServingNode("n2", "http://a", None)
    assert [await led(app_id) for app_id in ("moved", "failed", "unplaced")] == [first] * 3
    assert [await led(app_id) for app_id in ("new", "left")] == [second] * 2
    assert [await led(app_id) for app_id in ("nowhere", "unknown", "")] == [None] * 3


async def test_a_placement_keeps_its_reasons_until_it_moves(store: Store) -> None:
    first = Placement("shop", 1, 1000, 1000, (Reason("most_room", "“n1” had 60 %"), Reason("node_full", "n2: 3 %")))
    moved = Placement("shop", 2, 2000, 1000, (Reason("reassigned", "admin moved it"),))
    other = Placement("blog", 1, 1500, 1500)
    await store.transact(lambda tx: tx.put_placements([first, other]))
    assert await store.transact(lambda tx: tx.placements_of({"shop", "blog"})) == {"shop": first, "blog": other}
    await store.transact(lambda tx: tx.put_placement(moved))
    assert await store.transact(lambda tx: tx.placement("shop")) == moved
    assert await store.transact(lambda tx: tx.all_placements(9)) == [other, moved]


def as_before(folder: Path) -> Queries:
    (folder / "before.sql").write_text(f"-- move --\n-- As before.\n{MOVE_AS_BEFORE}\n")
    return load_queries(folder)


@pytest.mark.parametrize("kind", ["file", pytest.param("mysql", marks=pytest.mark.real)])
async def test_reasons_of_another_node_are_not_told(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A replica of the release before moves an app and leaves the column alone."""
    url = f"sqlite:///{tmp_path}/deploy.db" if kind == "file" else request.getfixturevalue("mysql_url")
    kept = Placement("shop", 1, 1000, 1000, (Reason("only_node", "n1"),))
    async with open_store(url) as store:
        await store.transact(lambda tx: tx.put_placement(kept))
        async with open_database(url, await asyncio.to_thread(as_before, tmp_path)) as database:
            assert await database.transact(lambda session: session.change("move", app_id="shop", node_id=2)) == 1
        assert await store.transact(lambda tx: tx.placement("shop")) == Placement("shop", 2, 1000, 1000)


async def test_what_is_said_of_waiting_jobs_comes_from_the_rows(store: Store) -> None:
    held = {"a": "r1", "b": "r1", "c": "r2"}

    async def work(tx: Transaction) -> None:
        for number, (app_id, runner) in enumerate(held.items()):
            pending = job(number, app_id)
            await tx.insert_job(pending)
            assert await tx.save_job(replace(pending, status=JobStatus.RUNNING, runner_id=runner, version=1), pending)
        await tx.insert_job(job(7, "d"))
        await tx.put_app_run(AppRun("d", 1, last_deployed_at=5, last_active_at=7, built_by="r2"))
        await tx.put_app_run(AppRun("e", 1, last_active_at=9))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.held_slots()) == {"r1": 2, "r2": 1}
    found = await store.transact(lambda tx: tx.pasts_of({"a", "d", "e"}))
    assert found == {"d": Past("r2", 7, True), "e": Past(None, 9)}
    assert await store.transact(lambda tx: tx.pasts_of(())) == {}
