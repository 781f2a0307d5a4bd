"""What the holder of a job does: renew, report, and (through its agent) ask whether it may go live."""

import asyncio
from typing import Final

from daemons.deploy.domain import jobs, succession
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job, LeaseLost, Outcome, Progress, Proof
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bell, Bells
from daemons.deploy.services.journal import node_of, write_job
from daemons.deploy.services.queue import found, locked
from protocol.jobs import JobStatus, StageReport

_POLL_SECONDS: Final = 1.0


class Leases:
    """Renewals, reports and the last question before a switch."""

    def __init__(self, store: Store, bells: Bells) -> None:
        self._store = store
        self._bells = bells

    async def renew(
        self, job_id: str, proof: Proof, extend_seconds: int, wait_seconds: float, progress: Progress
    ) -> Job:
        """Extend the lease to now + `extend_seconds` and answer the job: at once, or with `wait_seconds` when it leaves
        RUNNING under this lease or the time is up (half the lease at most). Raises JobNotFound or LeaseLost."""

        async def work(tx: Transaction) -> Job:
            before = await locked(tx, job_id)
            after = jobs.renew(before, proof, extend_seconds * 1000, progress, await tx.now())
            change = "phase" if after.phase != before.phase else None
            return await write_job(tx, after, before, change, _actor(proof))

        with self._bells.of_job(job_id) as bell:
            job = await self._store.transact(work)
            if progress.phase:
                self._bells.feed.ring()
            if wait_seconds <= 0 or job.status is not JobStatus.RUNNING:
                return job
            return await self._park(job, proof, min(wait_seconds, extend_seconds / 2), bell)

    async def _park(self, job: Job, proof: Proof, seconds: float, bell: Bell) -> Job:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._bells.closing and (left := until - loop.time()) > 0:
            await bell.wait(min(_POLL_SECONDS, left))
            job = await self._read(job.id)
            if job.status is not JobStatus.RUNNING or not jobs.holds(job, proof):
                break
        if not jobs.holds(job, proof):
            raise LeaseLost(job.id)
        return job

    async def _read(self, job_id: str) -> Job:
        async def work(tx: Transaction) -> Job:
            return found(await tx.job(job_id), job_id)

        return await self._store.transact(work)

    async def report(self, job_id: str, proof: Proof, outcome: Outcome) -> tuple[Job, RuntimeNode | None]:
        """End the attempt; the same report once more is answered with the stored job. With the node its app is on.

        Raises JobNotFound, LeaseLost or IllegalTransition.
        """

        async def work(tx: Transaction) -> tuple[Job, RuntimeNode | None]:
            before = await locked(tx, job_id)
            after = jobs.report(before, proof, outcome, await tx.now())
            job = await write_job(tx, after, before, after.status.value.lower(), _actor(proof))
            return job, await node_of(tx, job.app_id)

        job, node = await self._store.transact(work)
        self._bells.changed(job.id, arrived=not job.status.terminal)
        return job, node

    async def hand_back(
        self, job_id: str, proof: Proof, log_length: int | None, stages: tuple[StageReport, ...]
    ) -> tuple[Job, RuntimeNode | None]:
        """End the attempt without an outcome: the job waits for another runner from now on. The same once more is
        answered with the stored job. With the node its app is on. Raises JobNotFound or LeaseLost."""

        async def work(tx: Transaction) -> tuple[Job, RuntimeNode | None]:
            before = await locked(tx, job_id)
            newer = (await tx.pending_of({before.app_id})).get(before.app_id)
            successor = newer.id if newer and newer.id != before.id else None
            after = succession.hand_back(before, proof, log_length, stages, successor, await tx.now())
            change = "returned" if after.status is JobStatus.PENDING else after.status.value.lower()
            job = await write_job(tx, after, before, change, _actor(proof))
            return job, await node_of(tx, job.app_id)

        job, node = await self._store.transact(work)
        self._bells.changed(job.id)
        return job, node

    async def confirm(self, app_id: str, fence: int, actor: Actor) -> bool:
        """Whether the attempt with this fence may switch traffic now; once it may, its job can no longer be
        cancelled."""

        async def work(tx: Transaction) -> bool:
            running = (await tx.running_of({app_id})).get(app_id)
            before = await tx.job(running.id, lock=True) if running else None
            if before is None:
                return False
            after = jobs.confirm(before, fence, await tx.now())
            if after is None:
                return False
            await write_job(tx, after, before, "confirmed", actor)
            return True

        return await self._store.transact(work)


def _actor(proof: Proof) -> Actor:
    return Actor(f"runner:{proof.runner_id}", proof.address)
