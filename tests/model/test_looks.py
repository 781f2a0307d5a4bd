"""What the schedules look at is what is there, whatever becomes of those who asked for it."""

import asyncio
from dataclasses import dataclass, field

import pytest

from daemons.deploy.domain.jobs import Job
from daemons.deploy.ports import Transaction
from protocol.jobs import JobStatus, JobType
from tests.model.database import InlineSqlite, inline_store
from tests.model.faults import EPOCH_MS, Clock, ModelStore, Network, Outside

JOB = Job("j1", JobType.BUILD_AND_DEPLOY, JobStatus.PENDING, "app0", "1", {}, EPOCH_MS, EPOCH_MS)


@dataclass
class Killing:
    """A world in which the caller is killed while its transaction is looked at."""

    clock: Clock = field(default_factory=lambda: Clock(lambda: 0.0))
    network: Network = field(default_factory=Network)
    caller: "asyncio.Task[bool] | None" = None
    looked_at: int = 0

    async def look(self, tx: Transaction, now: int) -> None:
        self.looked_at += len(await tx.newest_jobs(9))
        assert self.caller is not None
        self.caller.cancel()
        for _ in range(3):
            await asyncio.sleep(0)

    def trouble(self) -> None:
        """Nobody waits for calm here."""


async def test_what_was_looked_at_is_committed_though_its_caller_was_killed_meanwhile() -> None:
    """As a database server commits what has reached it. Else the next look would miss a job that there never was."""
    database = InlineSqlite(lambda: EPOCH_MS)
    inner, world = inline_store(database), Killing()
    store = ModelStore(inner, world, Outside())
    world.caller = asyncio.ensure_future(store.transact(lambda tx: tx.insert_job(JOB)))
    with pytest.raises(asyncio.CancelledError):
        await world.caller
    assert world.looked_at == 1
    assert await inner.transact(lambda tx: tx.newest_jobs(9)) == [JOB]
    await database.close()
