"""What orders ask of the store, over every database: keys of requests, successors, predecessors, what is kept."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.idempotency import Key, Remembered
from daemons.deploy.ports import Store, Transaction
from protocol.jobs import JobStatus
from tests.contract.test_store import do, insert, job
from tests.support.line import claimable

KEY = Key("shop", "7", "api", "key ~!")
USED = Remembered(KEY, "a" * 64, "job-0001", 1000)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


async def test_a_job_keeps_its_predecessor_and_gets_a_successor(store: Store) -> None:
    new = replace(job(1), retry_of="job-0000")
    gone = replace(new, status=JobStatus.CANCELLED, superseded_by="job-0002", version=1)
    await insert(store, new)

    assert await store.transact(lambda tx: tx.job(new.id)) == new
    assert await store.transact(lambda tx: tx.save_job(gone, new))
    assert await store.transact(lambda tx: tx.job(new.id)) == gone


async def test_pending_of_finds_pending_jobs_by_app(store: Store) -> None:
    await insert(store, job(1, "shop"), job(2, "shop", JobStatus.RUNNING), job(3, "blog", JobStatus.RUNNING), job(4))

    found = await store.transact(lambda tx: tx.pending_of(["shop", "blog", "none"]))

    assert {app: each.id for app, each in found.items()} == {"shop": "job-0001"}
    assert await store.transact(lambda tx: tx.pending_of([])) == {}


async def test_a_job_that_waits_behind_a_running_one_cannot_be_claimed(store: Store) -> None:
    running = job(2, "shop", JobStatus.RUNNING)
    await insert(store, job(1, "shop"), running, job(3, "blog"))
    assert [each.id for each in await store.transact(lambda tx: claimable(tx, 10, 100))] == ["job-0003"]

    ended = replace(running, status=JobStatus.SUCCEEDED, version=1)
    assert await store.transact(lambda tx: tx.save_job(ended, running))
    assert [each.id for each in await store.transact(lambda tx: claimable(tx, 10, 100))] == ["job-0001", "job-0003"]


async def test_superseded_jobs_push_no_others_out_of_an_apps_history(store: Store) -> None:
    await insert(
        store,
        *(job(number, "shop", JobStatus.SUCCEEDED) for number in (1, 2, 3)),
        *(replace(job(number, "shop", JobStatus.CANCELLED), superseded_by="job-0099") for number in range(4, 10)),
        replace(job(10, "shop", JobStatus.FAILED), superseded_by="job-0099"),
        replace(job(11, "blog", JobStatus.CANCELLED), superseded_by="job-0099"),
        job(12, "shop"),
    )
    await do(store, lambda tx: tx.append_log("job-0004", 0, b"old"))

    async def work(tx: Transaction) -> tuple[int, int, int]:
        return (
            await tx.prune_jobs("shop", 2),
            await tx.prune_superseded("shop", 3),
            await tx.prune_superseded("shop", 3),
        )

    assert await store.transact(work) == (1, 4, 0)
    left = await store.transact(lambda tx: tx.newest_jobs(20))
    assert [each.id for each in left] == [f"job-{n:04}" for n in (12, 11, 10, 9, 8, 3, 2)]
    assert await store.transact(lambda tx: tx.read_log("job-0004", 0, 10)) == b""
    assert await store.transact(lambda tx: tx.delete_jobs("shop")) == 5


async def test_a_key_is_remembered_for_its_caller_user_and_app(store: Store) -> None:
    assert await store.transact(lambda tx: tx.remembered(KEY)) is None
    await do(store, lambda tx: tx.remember(USED))

    assert await store.transact(lambda tx: tx.remembered(KEY)) == USED
    others = (
        replace(KEY, app_id="blog"),
        replace(KEY, user_id="8"),
        replace(KEY, caller="admin"),
        replace(KEY, text="KEY ~!"),
    )
    for other in others:
        assert await store.transact(lambda tx, other=other: tx.remembered(other)) is None  # type: ignore[misc]


async def test_a_key_takes_every_printable_character_and_the_longest(store: Store) -> None:
    for text in ("".join(map(chr, range(0x21, 0x7F))), "x y", "x" * 128, "'; -- %s :name"):
        used = replace(USED, key=replace(KEY, text=text))
        await do(store, lambda tx, used=used: tx.remember(used))  # type: ignore[misc]
        assert await store.transact(lambda tx, used=used: tx.remembered(used.key)) == used  # type: ignore[misc]


async def test_a_key_whose_time_is_over_is_used_anew(store: Store) -> None:
    again = Remembered(KEY, "b" * 64, "job-0002", 5000)
    await do(store, lambda tx: tx.remember(USED))
    await do(store, lambda tx: tx.remember(again))
    assert await store.transact(lambda tx: tx.remembered(KEY)) == again


async def test_expired_keys_go_a_few_at_a_time_oldest_first(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        for at in (5, 1, 4, 2, 3):
            await tx.remember(replace(USED, key=replace(KEY, text=str(at)), expire_at=at))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.forget_keys(2, 4)) == 2
    assert await store.transact(lambda tx: tx.remembered(replace(KEY, text="2"))) is None
    assert await store.transact(lambda tx: tx.remembered(replace(KEY, text="3"))) is not None
    assert await store.transact(lambda tx: tx.forget_keys(10, 4)) == 2
    assert await store.transact(lambda tx: tx.forget_keys(10, 4)) == 0
    assert await store.transact(lambda tx: tx.remembered(replace(KEY, text="5"))) is not None


async def test_the_keys_of_an_app_go_together(store: Store) -> None:
    for key in (KEY, replace(KEY, text="2"), replace(KEY, app_id="blog")):
        await do(store, lambda tx, key=key: tx.remember(replace(USED, key=key)))  # type: ignore[misc]
    assert await store.transact(lambda tx: tx.forget_keys_of("shop")) == 2
    assert await store.transact(lambda tx: tx.remembered(replace(KEY, app_id="blog"))) is not None
