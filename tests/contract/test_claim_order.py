"""Who gets which job, over both databases, through the dispatcher of one replica or two."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import SqlStore, open_store
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import AGING_SECONDS, LONGEST_DELAY_SECONDS
from daemons.deploy.domain.nodes import AppRun, Runner
from daemons.deploy.ports import Transaction
from protocol.jobs import JobStatus
from tests.contract.test_store import job
from tests.support.desk import Desk, desk, offer


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """The empty store, on each kind of database."""
    async with open_store(database_url) as opened:
        yield opened


async def grow_older(store: SqlStore, job: Job, milliseconds: int) -> None:
    """As if the job had been created so much earlier."""

    async def work(tx: Transaction) -> None:
        older = replace(job, created_at=job.created_at - milliseconds)
        ended = replace(job, status=JobStatus.CANCELLED, version=1)
        assert await tx.save_job(ended, job)
        await tx.delete_jobs(job.app_id)
        assert await tx.insert_job(older)

    await store.transact(work)


async def order_of(at: Desk, jobs: int) -> list[str]:
    """The apps whose jobs are handed out next, one at a time."""
    found = [await at.claim(offer(f"r{number}")) for number in range(jobs)]
    return [job.app_id for job in found if job is not None]


async def test_a_higher_priority_goes_first_and_equals_by_age(store: SqlStore) -> None:
    async with desk(store) as at:
        for app, priority in (("low", -1), ("old", 0), ("new", 0), ("high", 5)):
            job = await at.create(app=app, priority=priority)
            if app == "old":
                # Two orders of one millisecond are of one age.
                await grow_older(store, job, 5)
        assert await order_of(at, 4) == ["high", "old", "new", "low"]


async def test_a_job_is_passed_by_a_higher_priority_only_within_the_stated_bound(store: SqlStore) -> None:
    async with desk(store) as at:
        for user, app, lead in (("1", "waited", LONGEST_DELAY_SECONDS), ("2", "waits", LONGEST_DELAY_SECONDS - 60)):
            job = await at.create(user, app, priority=-10)
            await grow_older(store, job, lead * 1000)
        await at.create("3", "urgent", priority=10)
        assert await order_of(at, 3) == ["waited", "urgent", "waits"]
    assert LONGEST_DELAY_SECONDS == 20 * AGING_SECONDS


async def test_a_lone_job_starts_with_the_next_slot_behind_a_thousand_of_another_user(store: SqlStore) -> None:
    async with desk(store) as at:
        await at.create_many("1", 1000)
        first = [await at.claim(offer(f"r{number}")) for number in range(3)]
        assert all(job is not None and job.user_id == "1" for job in first)
        await at.create("2", "lone")
        assert first[0] is not None
        await at.finish(first[0])
        assert await order_of(at, 1) == ["lone"]


async def test_users_take_turns(store: SqlStore) -> None:
    async with desk(store) as at:
        for user, jobs in (("1", 6), ("2", 3), ("3", 1)):
            for _ in range(jobs):
                await at.create(user)
        turns = [job.user_id for number in range(10) if (job := await at.claim(offer(f"r{number}")))]
        assert turns[:3] == ["1", "2", "3"]
        assert turns[3:7] == ["1", "2", "1", "2"]
        assert turns[7:] == ["1", "1", "1"]


async def test_a_job_goes_only_to_a_runner_that_offers_its_labels(store: SqlStore) -> None:
    async with desk(store) as at:
        wanted = await at.create(app="gpu", requires=["arm64", "gpu"])
        other = await at.create(app="any")
        plain = await at.claim(offer("plain"))
        assert plain is not None and plain.id == other.id
        assert await at.claim(offer("half", "gpu")) is None
        whole = await at.claim(offer("whole", "arm64", "gpu", "big"))
        assert whole is not None and whole.id == wanted.id


async def test_jobs_that_nobody_here_can_carry_out_hide_no_others(store: SqlStore) -> None:
    async with desk(store) as at:
        for _ in range(60):
            await at.create(requires=["gpu"])
        mine = await at.create()
        found = await at.claim(offer("plain"))
        assert found is not None and found.id == mine.id


async def test_a_runner_is_never_handed_more_than_its_slots(store: SqlStore) -> None:
    async with desk(store) as at:
        for _ in range(5):
            await at.create()
        asked = [at.claim(offer("two", slots=2)) for _ in range(4)]
        held = [job for job in await asyncio.gather(*asked) if job]
        assert len(held) == 2
        assert await at.claim(offer("two", slots=2)) is None
        await at.finish(held[0])
        assert await at.claim(offer("two", slots=2)) is not None
        assert await at.claim(offer("two", slots=2)) is None


async def test_a_runner_without_slots_labels_or_token_takes_what_it_asks_for(store: SqlStore) -> None:
    async with desk(store) as at:
        for _ in range(3):
            await at.create()
        assert len([job for _ in range(3) if (job := await at.claim(offer("old")))]) == 3


async def test_the_same_claim_again_gets_its_own_job_again(store: SqlStore) -> None:
    async with desk(store) as at:
        for _ in range(3):
            await at.create()
        first = await at.claim(offer("r", token="one", slots=1))
        again = await at.claim(offer("r", token="one", slots=1, lease_ms=90_000))
        assert first is not None and again is not None
        assert (again.id, again.lease_token, again.fence) == (first.id, first.lease_token, first.fence)
        assert again.lease_expire_at is not None and first.lease_expire_at is not None
        assert again.lease_expire_at > first.lease_expire_at
        assert await at.claim(offer("thief", token="one")) not in (None, again)
        other = await at.claim(offer("r", token="two"))
        assert other is not None and other.id != first.id


async def test_a_job_that_its_runner_has_shown_to_hold_is_not_delivered_again(store: SqlStore) -> None:
    async with desk(store) as at:
        await at.create()
        first = await at.claim(offer("r", token="one"))
        assert first is not None
        await at.finish(first)
        assert await at.claim(offer("r", token="one")) is None


async def test_a_job_whose_second_delivery_fails_stays_with_the_runner_that_has_the_first(store: SqlStore) -> None:
    async with desk(store) as at:
        await at.create()
        first = await at.claim(offer("r", token="one"))
        assert first is not None and first.runner_id is not None
        looks = 0

        def hangs_up() -> bool:
            nonlocal looks
            looks += 1
            return looks < 2

        assert await at.claim(offer("r", token="one"), 0, hangs_up) is None
        assert await at.claim(offer("other")) is None
        await at.finish(first)


async def test_two_claims_of_one_runner_at_once_get_two_jobs(store: SqlStore) -> None:
    async with desk(store) as at:
        for _ in range(2):
            await at.create()
        one, two = await asyncio.gather(at.claim(offer("r", token="one")), at.claim(offer("r", token="two")))
        assert one is not None and two is not None and one.id != two.id


async def test_of_a_claim_sent_twice_only_the_later_waits(store: SqlStore) -> None:
    async with desk(store) as at:
        async with asyncio.TaskGroup() as group:
            early = group.create_task(at.claim(offer("r", token="one"), 20))
            await at.parked(1)
            late = group.create_task(at.claim(offer("r", token="one"), 20))
            assert await early is None
            await at.parked(1)
            made = await at.create()
        found = late.result()
        assert found is not None and found.id == made.id


async def built(at: Desk, app: str, runner: str) -> None:
    """The runner builds the app, and both runners are known."""
    at.runners.heard(runner)
    await at.runners.write()
    await at.create(app=app)
    job = await at.claim(offer(runner))
    assert job is not None
    await at.finish(job)


async def test_the_runner_that_built_the_app_is_preferred_if_it_waits(store: SqlStore) -> None:
    async with desk(store, warm_ms=20_000) as at:
        await built(at, "shop", "warm")
        async with asyncio.TaskGroup() as group:
            cold = group.create_task(at.claim(offer("cold"), 20))
            await at.parked(1)
            warm = group.create_task(at.claim(offer("warm"), 20))
            await at.parked(2)
            job = await at.create(app="shop")
            found = await warm
            assert found is not None and found.id == job.id
            at.claims.close()
            assert await cold is None


async def test_a_job_waits_for_its_warm_runner_only_for_the_grace(store: SqlStore) -> None:
    async with desk(store, warm_ms=300) as at:
        await built(at, "shop", "warm")
        job = await at.create(app="shop")
        assert await at.claim(offer("cold")) is None
        found = await at.claim(offer("cold"), 20)
        assert found is not None and found.id == job.id
        assert found.started_at is not None and found.started_at >= job.created_at + 300


async def test_a_job_does_not_wait_for_a_warm_runner_that_is_gone_or_when_nothing_is_built(store: SqlStore) -> None:
    async with desk(store, warm_ms=20_000) as at:
        await built(at, "shop", "warm")
        await store.transact(lambda tx: tx.touch_runners([Runner("warm", 1)]))
        await at.create(app="shop")
        assert await at.claim(offer("cold")) is not None
        await built(at, "blog", "warm")
        await at.create(app="blog", image="busybox:1.36")
        assert await at.claim(offer("cold")) is not None


async def test_a_clock_that_is_set_back_keeps_the_newest_job_the_newest_and_no_job_waiting(store: SqlStore) -> None:
    """The database's clock was an hour ahead when the app's jobs ended."""
    async with desk(store, warm_ms=20_000) as at:
        ahead = await store.transact(lambda tx: tx.now()) + 3_600_000
        old = replace(job(1, "shop", JobStatus.SUCCEEDED), created_at=ahead, updated_at=ahead, finished_at=ahead)
        await store.transact(lambda tx: tx.insert_job(old))
        run = AppRun("shop", 1, last_deployed_at=ahead, last_active_at=ahead, built_by="warm")
        await store.transact(lambda tx: tx.put_app_run(run))
        await store.transact(lambda tx: tx.touch_runners([Runner("warm", ahead)]))

        made = await at.create(app="shop")
        await at.create(app="blog", user="2")

        assert [each.id for each in await store.transact(lambda tx: tx.jobs_of_app("shop", 2))] == [made.id, old.id]
        assert (await store.transact(lambda tx: tx.newest_jobs(1)))[0].id == made.id
        assert await store.transact(lambda tx: tx.newest_created("shop")) == made.created_at == ahead + 1
        assert await store.transact(lambda tx: tx.newest_created("nobodys")) is None
        found = await at.claim(offer("cold"))
        assert found is not None and found.id == made.id, "it has waited longest, and its warm runner is not waited for"


async def test_a_created_job_wakes_exactly_one_parked_runner(store: SqlStore) -> None:
    async with desk(store) as at, asyncio.TaskGroup() as group:
        claims = [group.create_task(at.claim(offer(f"r{number}"), 20)) for number in range(20)]
        await at.parked(20)
        job = await at.create()
        done, waiting = await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
        assert [found.id for task in done if (found := task.result())] == [job.id]
        await at.parked(19)
        assert len(waiting) == 19
        at.claims.close()


async def test_a_caller_that_is_gone_gets_no_job(store: SqlStore) -> None:
    async with desk(store) as at:
        connected = True
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(at.claim(offer("gone"), 20, lambda: connected))
            await at.parked(1)
            waits = group.create_task(at.claim(offer("waits"), 20))
            await at.parked(2)
            connected = False
            job = await at.create()
            found = await waits
            assert found is not None and found.id == job.id and found.attempt == 1
            assert await gone is None


async def test_a_job_that_could_not_be_delivered_goes_to_the_next_at_once(store: SqlStore) -> None:
    async with desk(store) as at:
        looks = 0

        def hangs_up() -> bool:
            nonlocal looks
            looks += 1
            return looks < 4

        async with asyncio.TaskGroup() as group:
            gone = group.create_task(at.claim(offer("gone"), 20, hangs_up))
            await at.parked(1)
            waits = group.create_task(at.claim(offer("waits"), 20))
            await at.parked(2)
            job = await at.create()
            found = await waits
            assert found is not None and (found.id, found.attempt, found.runner_id) == (job.id, 1, "waits")
            assert found.fence == 2
            assert await gone is None


async def test_nobody_is_handed_a_job_after_its_time(store: SqlStore) -> None:
    async with desk(store) as at:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        assert await at.claim(offer("r"), 0.4) is None
        assert loop.time() - asked < 0.4
        await at.create()
        assert await at.claim(offer("next")) is not None


@pytest.mark.real
async def test_slots_hold_for_two_replicas_together(mysql_url: str) -> None:
    async with AsyncExitStack() as stack:
        desks = [
            await stack.enter_async_context(desk(await stack.enter_async_context(open_store(mysql_url))))
            for _ in range(2)
        ]
        for _ in range(12):
            await desks[0].create()
        for _ in range(3):
            asked = (desks[number % 2].claim(offer("r", slots=2)) for number in range(16))
            held = [job for job in await asyncio.gather(*asked) if job]
            assert len(held) == 2
            await asyncio.gather(*(desks[0].finish(job) for job in held))


@pytest.mark.real
async def test_a_claim_sent_to_both_replicas_at_once_gets_one_job(mysql_url: str) -> None:
    async with AsyncExitStack() as stack:
        desks = [
            await stack.enter_async_context(desk(await stack.enter_async_context(open_store(mysql_url))))
            for _ in range(2)
        ]
        for number in range(5):
            await desks[0].create()
            await desks[0].create()
            both = await asyncio.gather(*(each.claim(offer("r", token=f"t{number}")) for each in desks))
            assert len({job.id for job in both if job}) == 1


@pytest.mark.real
async def test_a_request_parked_at_another_replica_is_served_by_the_fallback_poll(mysql_url: str) -> None:
    async with open_store(mysql_url) as one, open_store(mysql_url) as two, desk(one) as here, desk(two) as there:
        assert here.bells is not there.bells
        async with asyncio.TaskGroup() as group:
            parked = group.create_task(there.claim(offer("r"), 20))
            await there.parked(1)
            job = await here.create()
        found = parked.result()
        assert found is not None and found.id == job.id
        assert found.started_at is not None and found.started_at - job.created_at < 5_000
