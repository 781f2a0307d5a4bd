"""Ends what nobody else ends: expired leases, attempts that run too long, old events, forgotten runners.

Each step is one short transaction over rows that it locks and others skip, so that several replicas may run it.
"""

import logging
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import jobs, succession
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import write_job
from protocol.jobs import JobStatus

_PAGE: Final = 100
_EVENT_PAGE: Final = 1000
_KEY_PAGE: Final = 200
_ACTOR: Final = Actor("reaper")
DAY_MS: Final = 24 * 3600 * 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What operators allow; `max_running_seconds` 0 means no limit."""

    max_attempts: int = 3
    max_running_seconds: int = 0
    events_kept_ms: int = 14 * DAY_MS
    runners_kept_ms: int = 7 * DAY_MS


class Reaper:
    """One `sweep` every second, one `tidy` every few minutes."""

    def __init__(self, store: Store, bells: Bells, limits: Limits) -> None:
        self._store = store
        self._bells = bells
        self._limits = limits

    async def sweep(self) -> None:
        """Requeue or fail jobs whose lease ran out, and fail those that run too long."""
        for job in await self._store.transact(self._reap):
            logger.warning(
                "an attempt was ended by the control plane",
                extra={"job_id": job.id, "app_id": job.app_id, "status": job.status.value, "attempt": job.attempt},
            )
            self._bells.changed(job.id)

    async def _reap(self, tx: Transaction) -> list[Job]:
        now = await tx.now()
        limit = self._limits.max_running_seconds
        ended: dict[str, Job] = {}
        if limit > 0:
            for job in await tx.running_since(_PAGE, now - limit * 1000):
                ended[job.id] = await self._write(tx, jobs.time_out(job, limit, now), job)
        expired = [job for job in await tx.expired(_PAGE, now) if job.id not in ended]
        newer = await tx.pending_of({job.app_id for job in expired})
        for job in expired:
            successor = newer[job.app_id].id if job.app_id in newer else None
            after = succession.expire(job, successor, self._limits.max_attempts, now)
            ended[job.id] = await self._write(tx, after, job)
        return list(ended.values())

    async def _write(self, tx: Transaction, after: Job, before: Job) -> Job:
        change = "requeued" if after.status is JobStatus.PENDING else after.status.value.lower()
        return await write_job(tx, after, before, change, _ACTOR)

    async def tidy(self) -> None:
        """Forget old events, keys whose day is over and runners that are long gone."""

        async def work(tx: Transaction) -> int:
            now = await tx.now()
            await tx.forget_runners(now - self._limits.runners_kept_ms)
            return await tx.delete_events(now - self._limits.events_kept_ms, _EVENT_PAGE)

        async def forget_keys(tx: Transaction) -> int:
            return await tx.forget_keys(_KEY_PAGE, await tx.now())

        while await self._store.transact(work) == _EVENT_PAGE:
            continue
        while await self._store.transact(forget_keys) == _KEY_PAGE:
            continue
