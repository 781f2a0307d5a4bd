"""Two control planes on one real MariaDB: what holds in one process holds between them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pymysql
import pytest

from daemons.deploy.adapters.store import open_store
from protocol.apps import ConfirmFence
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, RenewLease
from tests.http.deploy.plane import Plane, serving

pytestmark = pytest.mark.real
_number = itertools.count(1)


@pytest.fixture
def database_url(mariadb_url: str) -> Iterator[str]:
    """An empty database."""
    parts = urlsplit(mariadb_url)
    name = f"replicas_{next(_number)}"
    server = pymysql.connect(
        host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "", autocommit=True
    )
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


@asynccontextmanager
async def two_planes(url: str) -> AsyncIterator[tuple[Plane, Plane]]:
    async with AsyncExitStack() as stack:
        planes = [
            await stack.enter_async_context(serving(await stack.enter_async_context(open_store(url)))) for _ in range(2)
        ]
        yield planes[0], planes[1]


async def test_fifty_creates_at_two_replicas_leave_one_job(database_url: str) -> None:
    async with two_planes(database_url) as planes:

        async def attempt(plane: Plane) -> int:
            body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": "20001"}}
            return (await plane.call("POST", "/deploy/jobs", role="api", json=body)).status_code

        codes = await asyncio.gather(*(attempt(planes[number % 2]) for number in range(50)))
        assert sorted(codes) == [200, *[409] * 49]


async def test_every_job_is_claimed_once_and_events_are_the_same_everywhere(database_url: str) -> None:
    async with two_planes(database_url) as planes:
        await planes[0].beat()
        await asyncio.gather(*(planes[number % 2].create(f"app{number}") for number in range(20)))
        claims = (planes[number % 2].claim(f"r{number}", wait_seconds=10) for number in range(20))
        jobs = [job for job in await asyncio.gather(*claims) if job is not None]
        assert len({job.id for job in jobs}) == len(jobs) == 20
        told: list[list[int]] = []
        async with asyncio.timeout(60):
            for plane in planes:
                seen: list[int] = []
                claimed = 0
                async for event in plane.admin.follow(0):
                    seq = getattr(event, "seq", None)
                    seen += [seq] if seq is not None else []
                    claimed += event.kind == "job" and event.change == "claimed"
                    if claimed == 20:
                        break
                told.append(seen)
        assert told[0] == told[1] == sorted(told[0])


async def test_work_and_cancels_cross_from_one_replica_to_the_other(database_url: str) -> None:
    async with two_planes(database_url) as (one, two):
        await one.beat()
        async with asyncio.timeout(19), asyncio.TaskGroup() as group:
            parked = group.create_task(two.claim("r1", wait_seconds=20))
            await two.heard_of(1)
            await one.create()
        job = parked.result()
        assert job is not None
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, wait_seconds=14)
        async with asyncio.timeout(13), asyncio.TaskGroup() as group:
            renewed = group.create_task(two.runners.renew(job.id, beat))
            await one.api.cancel(job.id)
        assert renewed.result().status is JobStatus.CANCELLED


async def test_a_cancel_and_a_confirmation_at_once_never_both_succeed(database_url: str) -> None:
    async with two_planes(database_url) as (one, two):
        for number in range(10):
            job = await one.claimed(f"app{number}")

            async def cancel(job_id: str = job.id) -> bool:
                try:
                    return (await one.api.cancel(job_id)).status is JobStatus.CANCELLED
                except Refused as refusal:
                    assert refusal.reason == "too_late"
                    return False

            question = ConfirmFence(app_id=job.app_id, fence=job.fence or 0)
            cancelled, confirmed = await asyncio.gather(cancel(), two.nodes.confirm_fence(question))
            assert cancelled is not confirmed.holds
