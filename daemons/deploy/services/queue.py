"""Jobs as their submitters see them: read, cancel, move by hand."""

from collections.abc import Sequence

from daemons.deploy.domain import expected, jobs
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job, JobNotFound
from daemons.deploy.domain.listing import Place, Wanted, cursor_of
from daemons.deploy.ports import JobRows, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import write_job
from protocol.jobs import JobStatus, TransitionJob


class JobQueue:
    """Jobs that are there."""

    def __init__(self, store: Store, bells: Bells) -> None:
        self._store = store
        self._bells = bells

    async def cancel(self, job_id: str, actor: Actor, seen: str | None = None) -> Job:
        """Idempotent. Raises what `transition` raises."""
        return await self.transition(job_id, TransitionJob(to_status=JobStatus.CANCELLED), actor, seen)

    async def transition(self, job_id: str, order: TransitionJob, actor: Actor, seen: str | None = None) -> Job:
        """Move a job by hand that is still as it was `seen`; one that is where it should go stays so.

        Raises JobNotFound, ChangedMeanwhile, TooLate or IllegalTransition.
        """

        async def work(tx: Transaction) -> Job:
            before = await locked(tx, job_id)
            if before.status is not order.to_status:
                expected.require_job(before, seen)
            after = jobs.move(before, order.to_status, order.error_message, await tx.now())
            return await write_job(tx, after, before, after.status.value.lower(), actor)

        job = await self._store.transact(work)
        self._bells.changed(job.id)
        return job

    async def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""

        async def work(tx: Transaction) -> Job:
            return found(await tx.job(job_id), job_id)

        return await self._store.transact(work)

    async def newest(self, limit: int) -> Sequence[Job]:
        """Newest created first."""

        async def work(tx: Transaction) -> Sequence[Job]:
            return await tx.newest_jobs(limit)

        return await self._store.transact(work)

    async def page(self, place: Place, limit: int, wanted: Wanted) -> tuple[Sequence[Job], str | None]:
        """At most `limit` of the wanted jobs after the place, newest first, and the cursor of the next page, if any."""

        async def work(tx: Transaction) -> Sequence[Job]:
            return await tx.jobs_after(place, limit + 1, wanted)

        found = await self._store.transact(work)
        return found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None

    async def of_app(self, app_id: str, limit: int) -> Sequence[Job]:
        """The app's jobs, newest first."""

        async def work(tx: Transaction) -> Sequence[Job]:
            return await tx.jobs_of_app(app_id, limit)

        return await self._store.transact(work)


async def locked(rows: JobRows, job_id: str) -> Job:
    """The job, locked until the transaction ends. Raises JobNotFound."""
    return found(await rows.job(job_id, lock=True), job_id)


def found(job: Job | None, job_id: str) -> Job:
    """The job that was looked up. Raises JobNotFound."""
    if job is None:
        raise JobNotFound(job_id)
    return job
