"""Rows of the queue: jobs, and the keys of the requests that made them.

Every write of a job is guarded: it answers False when the row is no longer the one the change was computed from.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.idempotency import Key, Remembered
from daemons.deploy.domain.jobs import Job


class JobRows(Protocol):
    """Table `fun_ai_deploy_job` and the per-app row that serialises creates and holds the fence counter."""

    async def lock_app(self, app_id: str) -> None:
        """Lock the app's row until the transaction ends, making it first if it is new."""
        ...

    async def next_fence(self, app_id: str) -> int:
        """Raise the app's fence by one and answer it; strictly rising per app, never reused."""
        ...

    async def insert_job(self, job: Job) -> bool:
        """False when the app already has a job in that (PENDING or RUNNING) state: the unique indexes refuse it."""
        ...

    async def save_job(self, job: Job, was: Job) -> bool:
        """Write the job if its row still has `was.version`; False when it moved on or another job holds the state."""
        ...

    async def save_jobs(self, changes: Sequence[tuple[Job, Job]]) -> bool:
        """As `save_job` for each pair, which the caller holds locked; False when any was refused: then the
        transaction is to be undone."""
        ...

    async def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        """One job, optionally locked until the transaction ends."""
        ...

    async def newest_created(self, app_id: str) -> int | None:
        """When the app's newest job was created (epoch ms), whatever became of it; None when it has none."""
        ...

    async def active_jobs(self, app_id: str) -> Sequence[Job]:
        """The app's PENDING and RUNNING jobs."""
        ...

    async def running_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The RUNNING job of each of these apps that has one."""
        ...

    async def pending_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The PENDING job of each of these apps that has one."""
        ...

    async def expired(self, limit: int, now: int) -> Sequence[Job]:
        """RUNNING jobs whose lease ended at or before `now`, oldest lease first, locked, held rows skipped."""
        ...

    async def running_since(self, limit: int, before: int) -> Sequence[Job]:
        """RUNNING jobs that started before, oldest first, locked, held rows skipped."""
        ...

    async def newest_jobs(self, limit: int) -> Sequence[Job]:
        """Newest created first."""
        ...

    async def jobs_of_app(self, app_id: str, limit: int) -> Sequence[Job]:
        """Newest created first."""
        ...

    async def delete_jobs(self, app_id: str) -> int:
        """Delete the app's ended jobs with their logs; how many."""
        ...

    async def prune_jobs(self, app_id: str, keep: int) -> int:
        """Delete, with their logs, all but the newest `keep` of the app's ended jobs that were not superseded; how
        many."""
        ...

    async def prune_superseded(self, app_id: str, keep: int) -> int:
        """Delete, with their logs, all but the newest `keep` of the app's superseded jobs; how many."""
        ...

    async def count_jobs(self) -> Mapping[str, int]:
        """How many jobs are in each active state (PENDING, RUNNING), for metrics."""
        ...


class IdempotencyRows(Protocol):
    """Table `fun_ai_deploy_idempotency`. Who reads or writes an app's keys holds the app's row."""

    async def remembered(self, key: Key) -> Remembered | None:
        """What the key was used for, also when its time is over."""
        ...

    async def remember(self, used: Remembered) -> None:
        """Write what the key was used for, in place of what it was used for before."""
        ...

    async def forget_keys_of(self, app_id: str) -> int:
        """Forget all keys of an app; how many."""
        ...

    async def forget_keys(self, limit: int, now: int) -> int:
        """Forget up to `limit` keys whose time is over, oldest first; how many."""
        ...
