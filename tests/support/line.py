"""The claim's statements in one step, for tests of the store."""

from collections.abc import Sequence

from daemons.deploy.domain.jobs import Job
from daemons.deploy.ports import Transaction


async def claimable(tx: Transaction, limit: int, now: int) -> Sequence[Job]:
    """The first PENDING jobs of all users that may start, lowest rank first, locked; held rows are skipped."""
    users = [standing.user_id for standing in await tx.standings("", 1000)]
    found = [job for user in users for job in await tx.due_jobs([user], now, 0, 1000)]
    first = sorted((job for job in found if not job.blocked), key=lambda job: (job.rank, job.id))[:limit]
    locked = {job.id: job for job in await tx.lock_due([job.id for job in first], now)}
    return [locked[job.id] for job in first if job.id in locked]
