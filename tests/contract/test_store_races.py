"""The store under concurrency: what must hold whoever comes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.jobs import Job
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from protocol.jobs import JobStatus
from tests.contract.test_store import NODE, insert, job
from tests.support.line import claimable

CLAIMERS = 16


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture
async def mysql_store(mysql_url: str) -> AsyncIterator[Store]:
    async with open_store(mysql_url) as opened:
        yield opened


@asynccontextmanager
async def held(store: Store) -> AsyncIterator[Transaction]:
    """A transaction that stays open for the block and commits at its end."""
    opened: asyncio.Future[Transaction] = asyncio.get_running_loop().create_future()
    finish = asyncio.Event()

    async def work(tx: Transaction) -> None:
        if not opened.done():
            opened.set_result(tx)
        await finish.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(store.transact(work))
        try:
            yield await opened
        finally:
            finish.set()


async def claim_one(store: Store) -> Job | None:
    async def work(tx: Transaction) -> Job | None:
        for was in await claimable(tx, 1, await tx.now()):
            claimed = replace(
                was, status=JobStatus.RUNNING, fence=await tx.next_fence(was.app_id), version=was.version + 1
            )
            assert await tx.save_job(claimed, was)
            return claimed
        return None

    return await store.transact(work)


async def test_concurrent_claims_never_give_a_job_twice(store: Store) -> None:
    await insert(store, *(job(number) for number in range(1, 121)))
    claimed: list[Job] = []

    async def claimer() -> None:
        while (mine := await claim_one(store)) is not None:
            claimed.append(mine)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLAIMERS):
            group.create_task(claimer())

    ids = [each.id for each in claimed]
    assert len(ids) == len(set(ids))
    # A claimer may come back empty-handed while others hold the last rows, but no row may be lost for the next one.
    while (mine := await claim_one(store)) is not None:
        ids.append(mine.id)
    assert len(set(ids)) == len(ids) == 120


async def test_concurrent_creates_for_one_app_leave_exactly_one(store: Store) -> None:
    async def create(number: int) -> bool:
        return await store.transact(lambda tx: tx.insert_job(job(number, "shop")))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(create(number)) for number in range(1, 51)]

    assert sum(task.result() for task in tasks) == 1
    assert len(await store.transact(lambda tx: tx.newest_jobs(200))) == 1


async def test_check_then_insert_is_exact_under_the_apps_lock(store: Store) -> None:
    async def create(number: int) -> bool:
        async def work(tx: Transaction) -> bool:
            await tx.lock_app("shop")
            if await tx.active_jobs("shop"):
                return False
            assert await tx.insert_job(job(number, "shop"))
            return True

        return await store.transact(work)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(create(number)) for number in range(1, 33)]

    assert sum(task.result() for task in tasks) == 1


async def test_fences_strictly_rise(store: Store) -> None:
    async def raise_it() -> int:
        return await store.transact(lambda tx: tx.next_fence("shop"))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(raise_it()) for _ in range(50)]

    assert sorted(task.result() for task in tasks) == list(range(1, 51))


async def test_concurrent_saves_from_one_version_let_one_win(store: Store) -> None:
    was = job(1)
    await insert(store, was)

    async def save(phase: str) -> bool:
        return await store.transact(lambda tx: tx.save_job(replace(was, phase=phase, version=1), was))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(save(str(number))) for number in range(20)]

    assert sum(task.result() for task in tasks) == 1


async def test_a_node_that_registers_many_times_at_once_is_one_node(store: Store) -> None:
    async def register() -> bool:
        return await store.transact(lambda tx: tx.insert_node(NODE)) is not None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(register()) for _ in range(20)]

    assert sum(task.result() for task in tasks) == 1


async def test_a_cancelled_transaction_is_undone_and_holds_nothing(store: Store) -> None:
    inserted = asyncio.Event()

    async def work(tx: Transaction) -> None:
        await tx.lock_app("shop")
        await tx.insert_job(job(1, "shop"))
        inserted.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(store.transact(work))
        await inserted.wait()
        task.cancel()

    await insert(store, job(2, "shop"))
    assert [each.id for each in await store.transact(lambda tx: tx.newest_jobs(10))] == ["job-0002"]


async def test_a_cancelled_call_leaves_no_answer_for_the_next(store: Store) -> None:
    await insert(store, *(job(number) for number in range(1, 40)))

    async def read(number: int) -> None:
        found = await store.transact(lambda tx: tx.job(f"job-{number:04}"))
        assert found is not None
        assert found.id == f"job-{number:04}"

    async with asyncio.TaskGroup() as group:
        for number in range(1, 40):
            task = group.create_task(read(number))
            if number % 3 == 0:
                for _ in range(number):
                    await asyncio.sleep(0)
                task.cancel()


@pytest.mark.real
async def test_a_held_job_is_skipped_by_other_claimers(mysql_store: Store) -> None:
    await insert(mysql_store, job(1), job(2))

    async with held(mysql_store) as first:
        assert [each.id for each in await claimable(first, 1, 100)] == ["job-0001"]
        others = await mysql_store.transact(lambda tx: claimable(tx, 10, 100))
        assert [each.id for each in others] == ["job-0002"]


@pytest.mark.real
async def test_a_held_lease_is_skipped_by_other_reapers(mysql_store: Store) -> None:
    await insert(
        mysql_store,
        *(replace(job(n, status=JobStatus.RUNNING), lease_expire_at=n, started_at=n) for n in (1, 2)),
    )

    async with held(mysql_store) as first:
        assert len(await first.expired(1, 100)) == 1
        assert [each.id for each in await mysql_store.transact(lambda tx: tx.expired(10, 100))] == ["job-0002"]
        assert [each.id for each in await mysql_store.transact(lambda tx: tx.running_since(10, 100))] == ["job-0002"]


@pytest.mark.real
async def test_claiming_waits_for_no_running_job(mysql_store: Store) -> None:
    """A claim looks whether the app has a RUNNING job; the row of another app's may be locked meanwhile."""
    running = job(1, "busy", JobStatus.RUNNING)
    await insert(mysql_store, running, job(2, "busy"), job(3, "idle"))

    async with held(mysql_store) as first:
        assert await first.job(running.id, lock=True) == running
        assert [each.id for each in await mysql_store.transact(lambda tx: claimable(tx, 10, 100))] == ["job-0003"]


@pytest.mark.real
async def test_claiming_locks_only_what_it_answers(mysql_store: Store) -> None:
    await insert(mysql_store, *(job(number) for number in range(1, 10)))

    async with held(mysql_store) as first:
        assert len(await claimable(first, 3, 100)) == 3
        free = await mysql_store.transact(lambda tx: claimable(tx, 10, 100))
        assert [each.id for each in free] == [f"job-{number:04}" for number in range(4, 10)]


@pytest.mark.real
async def test_an_event_that_commits_late_appears_below_one_already_seen(mysql_store: Store) -> None:
    """Why a reader of the log must look back for numbers that were missing."""

    def event(subject: str) -> NewEvent:
        return NewEvent("job", "created", subject, Actor("test"), "{}")

    async with held(mysql_store) as slow:
        await slow.append(event("slow"))
        await mysql_store.transact(lambda tx: tx.append(event("fast")))
        seen = await mysql_store.transact(lambda tx: tx.events_after(0, 10))
        assert [(each.seq, each.subject) for each in seen] == [(2, "fast")]

    after = await mysql_store.transact(lambda tx: tx.events_after(0, 10))
    assert [(each.seq, each.subject) for each in after] == [(1, "slow"), (2, "fast")]
    assert await mysql_store.transact(lambda tx: tx.events_after(seen[-1].seq, 10)) == []


async def test_on_sqlite_events_commit_in_the_order_of_their_numbers() -> None:
    async with open_store("sqlite:///:memory:") as store, asyncio.TaskGroup() as group:
        async with held(store) as slow:
            await slow.append(NewEvent("job", "created", "slow", Actor("test"), "{}"))
            waiting = group.create_task(store.transact(lambda tx: tx.events_after(0, 10)))
        assert [each.seq for each in await waiting] == [1]


@pytest.mark.real
async def test_a_deadlock_is_run_again(mysql_store: Store) -> None:
    await insert(mysql_store, job(1), job(2))
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    async def work(tx: Transaction, first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        await tx.job(first, lock=True)
        if runs <= 2:
            await both_hold_one.wait()
        was = await tx.job(second, lock=True)
        assert was is not None
        assert await tx.save_job(replace(was, phase="done", version=was.version + 1), was)

    async with asyncio.TaskGroup() as group:
        group.create_task(mysql_store.transact(lambda tx: work(tx, "job-0001", "job-0002")))
        group.create_task(mysql_store.transact(lambda tx: work(tx, "job-0002", "job-0001")))

    assert runs == 3
    saved = await mysql_store.transact(lambda tx: tx.newest_jobs(2))
    assert [(each.phase, each.version) for each in saved] == [("done", 1), ("done", 1)]


async def test_waiting_for_ones_turn_is_bounded(database_url: str) -> None:
    async with open_store(database_url, pool_size=1, transaction_seconds=0.3) as store:
        with pytest.raises(ExceptionGroup) as ended:
            async with held(store):
                with pytest.raises(StoreUnavailable, match="busy"):
                    await store.transact(lambda tx: tx.now())
        assert ended.group_contains(StoreUnavailable, match="took too long")
