"""A deploy control plane in memory, for tests of what stands on it: the same contract suite runs against both."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from daemons.api import ports
from daemons.api.ports.deletions import PartLeft
from daemons.kit.clock import Clock
from protocol.jobs import JobPayload, JobStatus, JobType, JobView, OnConflict, StoredPayload
from protocol.names import public_path
from protocol.releases import PresentIn, ReleasePage, ReleaseView, RollbackJob
from protocol.running import AppLogQuery

_GATEWAY = "http://127.0.0.1:8088"


class MemoryDeployPlane:
    """One job per app at a time; tests move jobs on with `move`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, JobView] = {}
        self._keys: dict[tuple[str, str, str], tuple[JobPayload, str]] = {}
        self.running: set[int] = set()
        self.nodes_away = False
        self.stopping: dict[int, int] = {}
        self.failing: ports.PlaneError | None = None
        self.logs: dict[str, bytes] = {}
        self.outputs: dict[int, bytes] = {}

    async def create(
        self, payload: JobPayload, idempotency_key: str | None, on_conflict: OnConflict = OnConflict.REJECT
    ) -> JobView:
        """Queue a deployment."""
        self._fail()
        key = (payload.user_id, payload.app_id, idempotency_key) if idempotency_key else None
        if key in self._keys:
            first, job_id = self._keys[key]
            if first != payload:
                raise ports.KeyUsed(f"this Idempotency-Key was used for another request, which made job {job_id}")
            return self._jobs[job_id]
        active = [job for job in self._jobs.values() if job.app_id == payload.app_id and not job.status.terminal]
        if on_conflict is OnConflict.SUPERSEDE:
            for job in active:
                if job.status is JobStatus.PENDING:
                    self.move(job.id, JobStatus.CANCELLED)
        elif active:
            raise ports.AppBusy(f"app {payload.app_id} has an active job")
        number = len(self._jobs) + 1
        now = self._clock.now() + timedelta(milliseconds=number)
        job = JobView(
            id=f"00000000-0000-4000-8000-{number:012d}",
            type=JobType.BUILD_AND_DEPLOY,
            status=JobStatus.PENDING,
            payload=StoredPayload(**payload.model_dump()),
            deploy_url=f"{_GATEWAY}{payload.base_path or public_path(payload.app_id)}/",
            created_at=now,
            updated_at=now,
            app_id=payload.app_id,
            user_id=payload.user_id,
        )
        self._jobs[job.id] = job
        if key:
            self._keys[key] = (payload, job.id)
        return job

    async def job(self, job_id: str) -> JobView:
        """One job."""
        self._fail()
        if job_id not in self._jobs:
            raise ports.PlaneNotFound(f"there is no job {job_id}")
        return self._jobs[job_id]

    async def jobs_of(self, app_ids: Sequence[int], limit: int) -> Mapping[int, Sequence[JobView]]:
        """The newest jobs of each app."""
        self._fail()
        newest = sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)
        return {app_id: [job for job in newest if job.app_id == str(app_id)][:limit] for app_id in app_ids}

    async def retry(self, job_id: str, idempotency_key: str) -> JobView:
        """Queue the job's order once more."""
        job = await self.job(job_id)
        if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
            raise ports.JobEnded(f"job {job_id} is {job.status} and cannot be repeated")
        return await self.create(JobPayload(**job.payload.model_dump()), f"retry-{idempotency_key}")

    async def rollback(self, user_id: int, app_id: int, release: int | None, idempotency_key: str) -> RollbackJob:
        """Queue the image of an earlier release."""
        page = await self.releases(app_id, None, 200)
        earlier = [each for each in page.items if not each.current and release in (None, each.number)]
        if not earlier:
            raise ports.PlaneNotFound(f"app {app_id} has no such release")
        payload = JobPayload(user_id=str(user_id), app_id=str(app_id), image=earlier[0].image)
        job = await self.create(payload, f"rollback-{idempotency_key}")
        return RollbackJob(**job.model_dump(), release=earlier[0].number, present_in=PresentIn.NODE)

    async def releases(self, app_id: int, cursor: str | None, limit: int) -> ReleasePage:
        """What succeeded, newest first."""
        self._fail()
        found = [job for job in self._jobs.values() if job.app_id == str(app_id) and job.status is JobStatus.SUCCEEDED]
        views = [_release(job, number, current=job is found[-1]) for number, job in enumerate(found, 1)]
        first = len(views) if cursor is None else int(cursor)
        items = tuple(reversed(views[max(0, first - limit) : first]))
        return ReleasePage(app_id=str(app_id), items=items, next_cursor=str(first - limit) if first > limit else None)

    @asynccontextmanager
    async def job_log(self, job_id: str, offset: int, *, follow: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """What was written of it; whoever follows waits until it ended."""
        await self.job(job_id)
        yield self._log(job_id, offset, follow)

    @asynccontextmanager
    async def app_log(self, app_id: int, asked: AppLogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """What was written of it."""
        self._fail()
        if app_id not in self.running:
            raise ports.PlaneNotFound(f"app {app_id} is on no node")

        async def pieces() -> AsyncIterator[bytes]:
            yield self.outputs.get(app_id, b"")
            if asked.follow:
                await asyncio.Event().wait()

        yield pieces()

    async def _log(self, job_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        while True:
            ended = self._jobs[job_id].status.terminal
            piece = self.logs.get(job_id, b"")[offset:]
            offset += len(piece)
            if piece:
                yield piece
            if ended or not follow:
                return
            await asyncio.sleep(0.01)

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job."""
        job = await self.job(job_id)
        if job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            raise ports.JobEnded(f"job {job_id} is {job.status} and cannot be cancelled")
        return self.move(job_id, JobStatus.CANCELLED)

    async def stop(self, user_id: int, app_id: int) -> bool:
        """Stop the app; one that was never placed is not known here."""
        self._fail()
        if app_id not in self.running:
            raise ports.PlaneNotFound(f"app {app_id} is on no node")
        self.running.discard(app_id)
        if self.nodes_away:
            self.stopping[app_id] = user_id
        return not self.nodes_away

    async def delete(self, user_id: int, app_id: int) -> None:
        """Forget the app and its jobs; while nodes are away, what runs is left."""
        self._fail()
        for job in [job for job in self._jobs.values() if job.app_id == str(app_id) and not job.status.terminal]:
            self.move(job.id, JobStatus.CANCELLED)
        if app_id in self.running and self.nodes_away:
            raise PartLeft("node n1 does not answer")
        self.running.discard(app_id)
        self.stopping.pop(app_id, None)
        self._jobs = {job_id: job for job_id, job in self._jobs.items() if job.app_id != str(app_id)}

    async def unfinished(self, user_id: int | None) -> Collection[int]:
        """Apps that were stopped while their nodes were away."""
        self._fail()
        return {app_id for app_id, owner in self.stopping.items() if user_id in (None, owner)}

    async def check(self) -> None:
        """Answer unless told to fail."""
        self._fail()

    def move(self, job_id: str, status: JobStatus, error: str | None = None) -> JobView:
        """Put a job into another state."""
        if status is JobStatus.SUCCEEDED:
            self.running.add(int(self._jobs[job_id].app_id))
        self._jobs[job_id] = self._jobs[job_id].model_copy(update={"status": status, "error_message": error})
        return self._jobs[job_id]

    def _fail(self) -> None:
        if self.failing is not None:
            raise self.failing


def _release(job: JobView, number: int, *, current: bool) -> ReleaseView:
    return ReleaseView(
        app_id=job.app_id,
        user_id=job.user_id,
        number=number,
        current=current,
        pinned=False,
        image=job.payload.image or f"registry.example.org/u{job.user_id}-app{job.app_id}:{number}",
        config_hash="0" * 64,
        container_port=3000,
        base_path=public_path(job.app_id),
        health_check_path="/",
        job_id=job.id,
        created_at=job.created_at,
    )
