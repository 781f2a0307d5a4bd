"""Plans that drain nodes, over every database: rows, the one live plan of a node, and replicas that step at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain import jobs
from daemons.deploy.domain.drains import Drain, DrainLive, Move
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job, Outcome
from daemons.deploy.domain.nodes import AppRun, NodePolicy, Placement
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.drain_steps import DrainSteps
from daemons.deploy.services.drains import Drains
from daemons.deploy.services.journal import write_job
from daemons.deploy.services.leftovers import Leftovers
from daemons.deploy.services.operations import Operations
from daemons.deploy.services.residents import Holders
from protocol.drains import DrainKind, DrainState, MoveState, StartDrain
from protocol.jobs import JobStatus, JobType
from tests.contract.test_store import NODE
from tests.http.deploy.plane import AgentTwin

POLICY = NodePolicy(stale_ms=45_000, watched=False)
ADMIN = Actor("admin")
APPS = tuple(f"app{number}" for number in range(6))
DIGEST = "sha256:" + "a1" * 32


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


class Replica:
    """One process's part in draining."""

    def __init__(self, store: Store) -> None:
        bells, holders = Bells(), Holders(AgentTwin(), POLICY)
        self.drains = Drains(store, bells, holders, POLICY)
        self.steps = DrainSteps(store, bells, holders, Leftovers(Operations(store, bells)), POLICY)


async def live_on_the_first_node(store: Store) -> None:
    """Two nodes with room; the apps were deployed on the first."""

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        for name in ("n1", "n2"):
            url = f"http://{name}:7005"
            assert await tx.insert_node(replace(NODE, name=name, agent_base_url=url, gateway_base_url=url))
        for app_id in APPS:
            image = f"127.0.0.1:5000/funaistudio/u7-{app_id}@{DIGEST}"
            done = Job(f"d-{app_id}", JobType.BUILD_AND_DEPLOY, JobStatus.SUCCEEDED, app_id, "7", {}, now, now)
            assert await tx.insert_job(replace(done, attempt=1, fence=1, image=image, payload={"image": image}))
            await tx.put_placement(Placement(app_id, 1, now, now))
            await tx.put_app_run(AppRun(app_id, 1, done.id, "SUCCEEDED", last_deployed_at=now))

    await store.transact(work)


async def active(store: Store) -> list[Job]:
    async def work(tx: Transaction) -> list[Job]:
        return [job for app_id in APPS for job in await tx.active_jobs(app_id)]

    return await store.transact(work)


async def succeed(store: Store, job: Job) -> None:
    """What claim and report make of it."""

    async def work(tx: Transaction) -> None:
        lease = jobs.Lease("r1", "token", await tx.next_fence(job.app_id), 30_000)
        claimed = jobs.claim(job, lease, await tx.now())
        assert await tx.save_job(claimed, job)
        await write_job(tx, jobs.finish(claimed, Outcome(JobStatus.SUCCEEDED), await tx.now()), claimed, "done", ADMIN)

    await store.transact(work)


async def test_rows_come_back_as_they_were_written(store: Store) -> None:
    draft = Drain(0, 1, DrainKind.DRAIN, DrainState.RUNNING, 3, True, False, "admin", 5, 6)

    async def work(tx: Transaction) -> None:
        drain = await tx.insert_drain(draft)
        assert drain is not None and replace(drain, id=0) == draft
        assert await tx.insert_drain(draft) is None, "one live plan a node"
        assert await tx.draining_nodes() == {1}
        move = Move(drain.id, "shop", MoveState.PENDING, 7)
        await tx.insert_move(move)
        moved = replace(move, state=MoveState.FAILED, target_id=2, job_id="j", attempts=2, tried=(2, 3), message="why")
        await tx.save_move(moved)
        assert list(await tx.moves(drain.id)) == [moved] == list(await tx.failed_moves([drain.id], 5))
        assert await tx.move_counts([drain.id]) == {drain.id: {MoveState.FAILED: 1}}
        over = replace(drain, state=DrainState.DONE, finished_at=9, version=1)
        assert await tx.save_drain(over, drain)
        assert not await tx.save_drain(over, drain), "guarded by the version"
        assert (await tx.drain(drain.id), await tx.newest_drain_of(1)) == (over, over)
        assert await tx.live_drain_of(1) is None
        again = await tx.insert_drain(draft)
        assert again is not None
        assert not await tx.save_drain(replace(over, finished_at=None), over), "the newer plan is live"
        assert [each.id for each in await tx.drains_before(2**60, 10)] == [again.id, drain.id]

    await store.transact(work)


async def test_replicas_that_step_at_once_order_each_move_once_and_no_more_than_allowed(database_url: str) -> None:
    second_url = database_url if "memory" not in database_url else None
    async with open_store(database_url) as store, open_store(second_url or database_url) as other:
        await live_on_the_first_node(store)
        replicas = [Replica(store), Replica(other if second_url else store)]
        drain = await replicas[0].drains.start(StartDrain(node="n1", max_parallel=2), ADMIN)
        with pytest.raises(DrainLive):
            await replicas[1].drains.start(StartDrain(node="n1"), ADMIN)
        moved: list[str] = []
        for _ in range(3 * len(APPS)):
            await asyncio.gather(*(replica.steps.step() for replica in replicas))
            under_way = await active(store)
            assert len(under_way) <= 2
            for job in under_way[:1]:
                await succeed(store, job)
                moved.append(job.app_id)
        assert sorted(moved) == list(APPS)
        over = await replicas[1].drains.get(drain.id)
        assert (over.state, over.summary) == (DrainState.DONE, "DONE 6 of 6 moved")

        async def look(tx: Transaction) -> list[tuple[int | None, int | None, int]]:
            found: list[tuple[int | None, int | None, int]] = []
            for app_id in APPS:
                run, placement = await tx.app_run(app_id), await tx.placement(app_id)
                stops = [each.node_id for each in await tx.pending_operations(app_id)]
                assert len(stops) == 1, "one stop of the old copy"
                found.append((run.node_id if run else None, placement.node_id if placement else None, stops[0]))
            return found

        assert await store.transact(look) == [(2, 2, 1)] * len(APPS)


async def test_a_job_that_runs_on_the_old_node_ends_there_before_its_app_moves(store: Store) -> None:
    """The record never names a node that the app is not on."""
    await live_on_the_first_node(store)
    replica = Replica(store)

    async def begin(tx: Transaction) -> Job:
        now = await tx.now()
        payload = {"userId": "7", "appId": "app0", "image": "127.0.0.1:5000/a/b:1"}
        mine = Job("mine", JobType.BUILD_AND_DEPLOY, JobStatus.PENDING, "app0", "7", payload, now, now)
        assert await tx.insert_job(mine)
        claimed = jobs.claim(mine, jobs.Lease("r1", "token", await tx.next_fence("app0"), 30_000), now)
        assert await tx.save_job(claimed, mine)
        return claimed

    running = await store.transact(begin)
    drain = await replica.drains.start(StartDrain(node="n1", max_parallel=50), ADMIN)
    await replica.steps.step()
    [waits] = [move for move in (await replica.drains.get(drain.id)).moves if move.app_id == "app0"]
    assert (waits.state, waits.message) == (MoveState.PENDING, "the app is busy with job mine, which is RUNNING")

    async def end(tx: Transaction) -> AppRun | None:
        await write_job(tx, jobs.finish(running, Outcome(JobStatus.SUCCEEDED), await tx.now()), running, "done", ADMIN)
        return await tx.app_run("app0")

    run = await store.transact(end)
    assert run is not None and run.node_id == 1
    await replica.steps.step()
    [job] = [job for job in await active(store) if job.app_id == "app0"]
    assert job.type is JobType.MIGRATE_APP and job.payload["image"] == "127.0.0.1:5000/a/b:1", (
        "what it runs now, not before"
    )


async def test_an_app_runs_on_one_node_and_is_placed_on_another_after_the_old_drain_and_a_plan_brings_it_there(
    store: Store,
) -> None:
    await live_on_the_first_node(store)
    replica = Replica(store)

    async def by_hand(tx: Transaction) -> None:
        await tx.put_placement(Placement("app0", 2, await tx.now()))

    await store.transact(by_hand)
    outlook = await replica.drains.preview("n1")
    assert "app0" in [move.resident.app_id for move in outlook.forecast.moves]
    await replica.drains.start(StartDrain(node="n1", max_parallel=50), ADMIN)
    await replica.steps.step()
    [job] = [job for job in await active(store) if job.app_id == "app0"]
    await succeed(store, job)
    await replica.steps.step()

    async def look(tx: Transaction) -> tuple[int | None, list[int]]:
        run = await tx.app_run("app0")
        return run.node_id if run else None, [each.node_id for each in await tx.pending_operations("app0")]

    assert await store.transact(look) == (2, [1])
