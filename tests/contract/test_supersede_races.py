"""Orders for one app that meet each other, runners and lost answers, over every database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

import aiomysql
import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.idempotency import Key, Remembered
from daemons.deploy.ports import OutcomeUnknown, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.orders import Caller, Ordered, Orders
from daemons.deploy.services.reaper import Limits, Reaper
from protocol.client.transport import Refused
from protocol.jobs import ClaimedJob, CreateJob, JobPayload, JobStatus, JobType, JobView, OnConflict, ReportJob
from tests.http.deploy.plane import Plane, serving
from tests.support.own_time import OwnTime

T = TypeVar("T")
APP = "20001"
ORDERS = 100
BURST_SECONDS = 10.0
BUILD_SECONDS = 12.0


def order(*, cancel_running: bool = False, conflict: OnConflict = OnConflict.SUPERSEDE, app_id: str = APP) -> CreateJob:
    payload = JobPayload(user_id="1", app_id=app_id, git_ref="main")
    return CreateJob(
        type=JobType.BUILD_AND_DEPLOY, payload=payload, on_conflict=conflict, cancel_running=cancel_running
    )


@asynccontextmanager
async def replicas(database_url: str, count: int = 2) -> AsyncIterator[Sequence[Plane]]:
    """Control planes over one database; those over one in memory share their store, too."""
    async with AsyncExitStack() as stack:
        stores: list[Store] = [await stack.enter_async_context(open_store(database_url))]
        while len(stores) < count:
            shared = database_url.endswith(":memory:")
            stores.append(stores[0] if shared else await stack.enter_async_context(open_store(database_url)))
        yield [await stack.enter_async_context(serving(store)) for store in stores]


class BuildingRunner:
    """Claims one job after the other and takes its own time over each."""

    def __init__(self, plane: Plane, time: OwnTime) -> None:
        self._plane = plane
        self._time = time
        self.builds: list[str] = []
        self.idle = asyncio.Event()

    async def run(self) -> None:
        while (job := await self._plane.claim("r1", wait_seconds=2, lease_seconds=600)) is not None:
            self.builds.append(job.id)
            await self._time.sleep(BUILD_SECONDS)
            await self._plane.runners.report(job.id, _succeeded(job))
        self.idle.set()

    async def until_idle(self) -> None:
        """Let time pass until there is nothing left to build."""
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(self._pass_time())
            await self.idle.wait()
            passing.cancel()

    async def _pass_time(self) -> None:
        while True:
            await self._time.somebody_sleeps()
            await self._time.pass_(BUILD_SECONDS)


def _succeeded(job: ClaimedJob) -> ReportJob:
    return ReportJob(runner_id=job.runner_id or "", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)


@pytest.mark.timeout(600)
async def test_a_hundred_orders_in_ten_seconds_end_in_two_builds_and_the_newest_wins(database_url: str) -> None:
    time = OwnTime()
    async with replicas(database_url) as planes:
        await planes[0].beat()
        runner = BuildingRunner(planes[0], time)

        async def create(number: int) -> str:
            made = await planes[number % len(planes)].api.create(order(), idempotency_key=f"order-{number}")
            await time.pass_(BURST_SECONDS / ORDERS)
            return made.id

        async with asyncio.TaskGroup() as group:
            first = await create(0)
            building = group.create_task(runner.run())
            made = [group.create_task(create(number)) for number in range(1, ORDERS)]
            await asyncio.gather(*made)
            assert time.seconds == pytest.approx(BURST_SECONDS)
            await runner.until_idle()
            await building

        ids = [first, *(task.result() for task in made)]
        jobs = {job_id: await planes[1].api.get(job_id) for job_id in ids}
        newest = (await planes[1].api.of_app(APP, 1))[0]
        assert len(set(ids)) == ORDERS
        assert 1 <= len(runner.builds) <= 2 and runner.builds[-1] == newest.id
        assert {job_id for job_id, job in jobs.items() if job.status is JobStatus.SUCCEEDED} == set(runner.builds)
        for job_id in set(ids) - set(runner.builds):
            assert (jobs[job_id].status, jobs[job_id].reason) == (JobStatus.CANCELLED, "superseded")
            assert leads_to(jobs, job_id) in runner.builds


def leads_to(jobs: dict[str, JobView], job_id: str) -> str:
    """The end of a job's chain of successors, each created after the one before."""
    while (successor := jobs[job_id].superseded_by) is not None:
        assert jobs[successor].created_at > jobs[job_id].created_at
        job_id = successor
    return job_id


@pytest.mark.timeout(600)
async def test_orders_that_cancel_what_runs_meet_runners_that_claim_it(database_url: str) -> None:
    """Orders hold the app and want its jobs, claims hold the jobs and want the app: nobody waits for ever, and nothing
    is lost."""
    async with replicas(database_url) as planes:
        await planes[0].beat()
        ordering = True

        async def run(plane: Plane, runner_id: str) -> list[str]:
            claimed = []
            while (job := await plane.claim(runner_id, wait_seconds=0.5)) is not None or ordering:
                claimed += [job.id] if job is not None else []
            return claimed

        async def create(number: int) -> str:
            cancelling = order(cancel_running=True, app_id=f"app{number % 3}")
            return (await planes[number % len(planes)].api.create(cancelling, idempotency_key=str(number))).id

        async with asyncio.TaskGroup() as group:
            runners = [group.create_task(run(planes[number % 2], f"r{number}")) for number in range(4)]
            made = await asyncio.gather(*(create(number) for number in range(60)))
            ordering = False

        claimed = [job_id for runner in runners for job_id in runner.result()]
        assert len(claimed) == len(set(claimed))
        for app in range(3):
            jobs = {job.id: job for job in await planes[0].api.of_app(f"app{app}", 200)}
            assert set(jobs) == set(made[app::3])
            running = [job.id for job in jobs.values() if job.status is JobStatus.RUNNING]
            assert len(running) == 1 and running[0] == next(iter(jobs))
            assert {leads_to(jobs, job_id) for job_id in jobs} == set(running)
            assert [job for job in jobs.values() if job.status not in (JobStatus.RUNNING, JobStatus.CANCELLED)] == []


async def test_a_request_that_races_with_itself_makes_one_job(database_url: str) -> None:
    async with replicas(database_url) as planes:
        for conflict in OnConflict:
            wanted = order(conflict=conflict, app_id=conflict.value)
            calls = (planes[n % 2].api.create(wanted, idempotency_key="the-key") for n in range(20))
            assert len({job.id for job in await asyncio.gather(*calls)}) == 1
            assert len(await planes[0].api.of_app(conflict.value)) == 1


async def test_retries_that_race_make_one_job(database_url: str) -> None:
    async with replicas(database_url) as planes:
        ended = await planes[0].api.cancel((await planes[0].create()).id)
        calls = (planes[n % 2].api.retry(ended.id, idempotency_key="the-key") for n in range(20))
        (job_id,) = {job.id for job in await asyncio.gather(*calls)}
        assert [job.id for job in await planes[0].api.of_app(APP)] == [job_id, ended.id]


class LostAnswers:
    """A store that commits orders, and loses the answer to the first few of these commits."""

    def __init__(self, store: Store, lost: int) -> None:
        self._store = store
        self.lost = lost

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        result = await self._store.transact(work)
        if self.lost and isinstance(result, Ordered):
            self.lost -= 1
            raise OutcomeUnknown("the commit failed on the way")
        return result

    async def check(self) -> None:
        await self._store.check()


async def test_a_client_with_a_key_learns_what_became_of_a_request_whose_answer_was_lost(database_url: str) -> None:
    async with open_store(database_url) as kept:
        store = LostAnswers(kept, lost=2)
        async with serving(store) as plane:
            job = await plane.api.create(order(), idempotency_key="the-key")
            assert store.lost == 0
            assert [each.id for each in await plane.api.newest()] == [job.id]


async def test_without_a_key_nobody_repeats_a_request_whose_answer_was_lost(database_url: str) -> None:
    async with open_store(database_url) as kept, serving(LostAnswers(kept, lost=1)) as plane:
        with pytest.raises(Refused) as refused:
            await plane.api.create(order())
        assert (refused.value.status, refused.value.reason) == (503, "unavailable")
        assert len(await plane.api.newest()) == 1


@pytest.mark.real
async def test_a_connection_lost_at_the_commit_makes_one_job_under_one_key(mysql_url: str) -> None:
    parts = urlsplit(mysql_url)
    server = await aiomysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password, autocommit=True
    )
    killed = 0

    class Cut:
        """A store whose connections a restart of the server cuts before the commit of the first order."""

        def __init__(self, store: Store) -> None:
            self._store = store

        async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
            async def then_cut(tx: Transaction) -> T:
                nonlocal killed
                result = await work(tx)
                if not killed:
                    killed = await kill_others(await server.cursor(), parts.path[1:])
                return result

            return await self._store.transact(then_cut)

        async def check(self) -> None:
            await self._store.check()

    async with open_store(mysql_url) as store:
        orders = Orders(Cut(store), Bells())
        with pytest.raises(OutcomeUnknown):
            await orders.create(order(), Caller(Actor("api"), "the-key"))
        made = await orders.create(order(), Caller(Actor("api"), "the-key"))
        again = await orders.create(order(), Caller(Actor("api"), "the-key"))
        assert killed and (again.job, again.repeated) == (made.job, True)
        assert await store.transact(lambda tx: tx.newest_jobs(10)) == [made.job]
    await server.ensure_closed()


async def kill_others(server: aiomysql.Cursor, database: str) -> int:
    """End every other session in the database; how many."""
    query = "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()"
    await server.execute(query, (database,))
    sessions = await server.fetchall()
    for (number,) in sessions:
        await server.execute(f"KILL CONNECTION {number}")
    return len(sessions)


async def test_expired_keys_are_deleted_and_live_ones_stay(database_url: str) -> None:
    async with open_store(database_url) as store:
        reaper = Reaper(store, Bells(), Limits())

        async def work(tx: Transaction) -> None:
            now = await tx.now()
            for number in range(450):
                expire_at = now - 1 if number % 10 else now + 60_000
                await tx.remember(Remembered(Key(APP, "1", "api", str(number)), "digest", "job", expire_at))

        await store.transact(work)
        await reaper.tidy()
        assert await store.transact(lambda tx: tx.forget_keys_of(APP)) == 45


async def test_a_key_counts_for_a_day_of_the_databases_clock(database_url: str) -> None:
    async with open_store(database_url) as store:
        orders = Orders(store, Bells())
        made = await orders.create(order(), Caller(Actor("api"), "the-key"))
        key = Key(APP, "1", "api", "the-key")
        used = await store.transact(lambda tx: tx.remembered(key))
        assert used is not None and used.expire_at - made.job.created_at == 24 * 3600 * 1000

        async def age(tx: Transaction) -> None:
            await tx.remember(replace(used, expire_at=await tx.now()))

        await store.transact(age)
        again = await orders.create(order(), Caller(Actor("api"), "the-key"))
        assert not again.repeated and again.superseded == (made.job.id,)
