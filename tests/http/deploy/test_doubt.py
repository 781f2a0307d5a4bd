"""Claims whose commit is in doubt, and claims that a shutdown overtakes: no job is lost, doubled or robbed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.ports import OutcomeUnknown, Store, Transaction
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, RenewLease
from tests.http.deploy.plane import MEMORY, Plane, serving

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]


class Nothing(Exception):
    """Rolls a transaction back."""


class Shaky:
    """A store whose next transaction that claims a job ends in doubt, committed or not."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.plan: str | None = None
        self.stuck = asyncio.Event()

    async def transact(self, work: Work[T]) -> T:
        claims: list[bool] = []

        async def watched(tx: Transaction) -> T:
            before = await tx.count_jobs()
            result = await work(tx)
            claims.append((await tx.count_jobs())["RUNNING"] > before["RUNNING"])
            if claims[-1] and self.plan == "lost":
                raise Nothing
            return result

        try:
            result = await self._inner.transact(watched)
        except Nothing:
            self.plan = None
            raise OutcomeUnknown("the answer to the commit was lost; ask again") from None
        plan = self.plan if claims[-1] else None
        if plan is not None:
            self.plan = None
        if plan == "committed":
            raise OutcomeUnknown("the answer to the commit was lost; ask again")
        if plan == "stuck":
            self.stuck.set()
            await asyncio.Event().wait()
        return result

    async def check(self) -> None:
        await self._inner.check()


async def claim_in_doubt(plane: Plane) -> None:
    with pytest.raises(Refused) as caught:
        await plane.claim("r1", wait_seconds=5)
    assert caught.value.status == 503


@pytest.mark.parametrize("plan", ["committed", "lost"])
async def test_a_job_whose_claim_ended_in_doubt_is_claimed_anew_at_once(plan: str) -> None:
    async with open_store(MEMORY) as inner:
        store = Shaky(inner)
        async with serving(store) as plane:
            await plane.beat()
            await plane.create()
            store.plan = plan
            await claim_in_doubt(plane)
            job = await plane.claim("r2", wait_seconds=20)
            assert job is not None and (job.runner_id, job.attempt) == ("r2", 1)
            assert (await plane.claim("r3")) is None
            order = RenewLease(runner_id="r2", lease_token=job.lease_token)
            assert (await plane.runners.renew(job.id, order)).status is JobStatus.RUNNING


async def test_a_claim_that_a_shutdown_overtakes_goes_back() -> None:
    async with open_store(MEMORY) as inner:
        store = Shaky(inner)
        async with serving(store) as plane:
            await plane.beat()
            created = await plane.create()
            store.plan = "stuck"
            async with asyncio.TaskGroup() as group:
                group.create_task(plane.claim("r1", wait_seconds=20))
                await store.stuck.wait()
                await plane.runner.cleanup()
            stored = await inner.transact(lambda tx: tx.job(created.id))
            assert stored is not None and (stored.status, stored.attempt) == (JobStatus.PENDING, 0)
