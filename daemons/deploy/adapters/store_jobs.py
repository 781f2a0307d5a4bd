"""Statements about jobs, and the app rows that serialise them and hold their fences."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from daemons.deploy.adapters.store_logs import DELETE_LOGS
from daemons.deploy.domain.holders import NOBODY, Holders
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import rank
from daemons.deploy.domain.stages import Stage
from daemons.kit.sql import Duplicate, Row, Session
from protocol.jobs import JobStatus, JobType, StageOutcome

_DELETE_AT_ONCE: Final = 500
_LOG: Final = (
    "log_length",
    "log_expected",
    "log_gaps",
    "log_removed",
    "log_removed_at",
    "log_followed_until",
)


class JobStatements:
    """The port `JobRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lock_app(self, app_id: str) -> None:
        """Lock the app's row, making it first if it is new."""
        await self._session.change("lock_app", app_id=app_id)

    async def next_fence(self, app_id: str) -> int:
        """Raise the app's fence and answer it."""
        return await self._session.insert("raise_fence", app_id=app_id)

    async def insert_job(self, job: Job) -> bool:
        """False when the app already has a job in that state."""
        try:
            await self._session.change(
                "insert_job",
                type=job.type.value,
                retry_of=job.retry_of,
                create_time=job.created_at,
                priority=job.priority,
                requires_csv=",".join(job.requires),
                queue_rank=rank(job.priority, min(job.created_at, job.updated_at)),
                version=job.version,
                log_length=job.log_length,
                **_columns(job),
            )
        except Duplicate:
            return False
        return True

    async def save_job(self, job: Job, was: Job) -> bool:
        """Write the job if its row still has `was.version`; the row's version becomes `was.version + 1`."""
        try:
            return await self._session.change("save_job", **_change(job, was)) == 1
        except Duplicate:
            return False

    async def save_jobs(self, changes: Sequence[tuple[Job, Job]]) -> bool:
        """Write all; False when any was refused."""
        if not changes:
            return True
        try:
            result = await self._session.execute_each("save_jobs", [_change(job, was) for job, was in changes])
        except Duplicate:
            return False
        return result.changed == len(changes)

    async def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        """One job."""
        row = await self._session.row("job_locked" if lock else "job", id=job_id)
        return None if row is None else job_of(row)

    async def newest_created(self, app_id: str) -> int | None:
        """When the app's newest job was created."""
        row = await self._session.row("newest_created", app_id=app_id)
        return None if row is None else int(row["newest_at"])

    async def active_jobs(self, app_id: str) -> Sequence[Job]:
        """The app's RUNNING and PENDING jobs."""
        return _jobs(await self._session.rows("active_jobs", app_id=app_id))

    async def running_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The RUNNING job of each of these apps that has one."""
        if not app_ids:
            return {}
        return {job.app_id: job for job in _jobs(await self._session.rows("running_of", app_ids=list(app_ids)))}

    async def pending_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The PENDING job of each of these apps that has one."""
        if not app_ids:
            return {}
        return {job.app_id: job for job in _jobs(await self._session.rows("pending_of", app_ids=list(app_ids)))}

    async def expired(self, limit: int, now: int) -> Sequence[Job]:
        """RUNNING jobs whose lease ended, oldest lease first, locked, held rows skipped."""
        return _jobs(await self._session.rows("expired_jobs", limit=limit, now=now))

    async def running_since(self, limit: int, before: int) -> Sequence[Job]:
        """RUNNING jobs that started before, oldest first, locked, held rows skipped."""
        return _jobs(await self._session.rows("overdue_jobs", limit=limit, before=before))

    async def newest_jobs(self, limit: int) -> Sequence[Job]:
        """Newest created first."""
        return _jobs(await self._session.rows("newest_jobs", limit=limit))

    async def jobs_of_app(self, app_id: str, limit: int) -> Sequence[Job]:
        """Newest created first."""
        return _jobs(await self._session.rows("jobs_of_app", app_id=app_id, limit=limit))

    async def delete_jobs(self, app_id: str) -> int:
        """Delete the app's ended jobs with their logs."""
        return await self.prune_jobs(app_id, 0) + await self.prune_superseded(app_id, 0)

    async def prune_jobs(self, app_id: str, keep: int) -> int:
        """Delete all but the newest `keep` of the app's ended jobs that were not superseded."""
        return await self._delete_all_but("ended_jobs", app_id, keep)

    async def prune_superseded(self, app_id: str, keep: int) -> int:
        """Delete all but the newest `keep` of the app's superseded jobs."""
        return await self._delete_all_but("superseded_jobs", app_id, keep)

    async def _delete_all_but(self, query: str, app_id: str, keep: int) -> int:
        deleted = 0
        while True:
            rows = await self._session.rows(query, app_id=app_id, keep=keep, limit=_DELETE_AT_ONCE)
            if not rows:
                return deleted
            ids = [str(row["id"]) for row in rows]
            # Jobs before logs: whoever appends to a log holds the job's row first, too.
            deleted += await self._session.change("delete_jobs", ids=ids)
            for of_logs in DELETE_LOGS:
                await self._session.change(of_logs, ids=ids)

    async def count_jobs(self) -> Mapping[str, int]:
        """How many jobs are PENDING and RUNNING."""
        found = {str(row["status"]): int(row["jobs"]) for row in await self._session.rows("count_jobs")}
        return {status.value: found.get(status.value, 0) for status in (JobStatus.PENDING, JobStatus.RUNNING)}


def _change(job: Job, was: Job) -> dict[str, str | int | None]:
    return {**_columns(job), "was_version": was.version, "version": max(job.version, was.version + 1)}


def _columns(job: Job) -> dict[str, str | int | None]:
    return {
        "id": job.id,
        "status": job.status.value,
        "app_id": job.app_id,
        "user_id": job.user_id,
        "payload_json": json.dumps(dict(job.payload), ensure_ascii=False, separators=(",", ":")),
        "attempt": job.attempt,
        "fence": job.fence,
        "runner_id": job.runner_id,
        "lease_token": job.lease_token,
        "lease_expire_at": job.lease_expire_at,
        "not_before": job.not_before,
        "started_at": job.started_at,
        "confirmed_at": job.confirmed_at,
        "finished_at": job.finished_at,
        "phase": job.phase,
        "phase_message": job.phase_message,
        "error_message": job.error_message,
        "reason": job.reason,
        "image": job.image,
        "image_digest": job.image_digest,
        "commit_sha": job.commit,
        "log_expected": job.log_expected,
        "superseded_by": job.superseded_by,
        "claim_key": job.claim_key,
        "stages_json": json.dumps([asdict(stage) for stage in job.stages]) if job.stages else None,
        "holders_json": None if job.holders == NOBODY else json.dumps(asdict(job.holders)),
        "update_time": job.updated_at,
    }


def _stages(text: str | None) -> tuple[Stage, ...]:
    found = json.loads(text) if text else []
    return tuple(Stage(**{**each, "outcome": StageOutcome(each["outcome"])}) for each in found)


def _jobs(rows: Sequence[Row]) -> Sequence[Job]:
    return [job_of(row) for row in rows]


def job_of(row: Row) -> Job:
    """The job that a row holds."""
    return Job(
        id=row["id"],
        type=JobType(row["type"]),
        status=JobStatus(row["status"]),
        app_id=row["app_id"],
        user_id=row["user_id"],
        payload=json.loads(row["payload_json"]),
        created_at=row["create_time"],
        updated_at=row["update_time"],
        attempt=row["attempt"],
        fence=row["fence"],
        runner_id=row["runner_id"],
        lease_token=row["lease_token"],
        lease_expire_at=row["lease_expire_at"],
        not_before=row["not_before"],
        started_at=row["started_at"],
        confirmed_at=row["confirmed_at"],
        finished_at=row["finished_at"],
        phase=row["phase"],
        phase_message=row["phase_message"],
        error_message=row["error_message"],
        reason=row["reason"],
        image=row["image"],
        image_digest=row["image_digest"],
        commit=row["commit_sha"],
        **{name: row[name] for name in _LOG},
        superseded_by=row["superseded_by"],
        retry_of=row["retry_of"],
        priority=row["priority"],
        requires=tuple(filter(None, row["requires_csv"].split(","))),
        claim_key=row["claim_key"],
        stages=_stages(row["stages_json"]),
        holders=Holders(**json.loads(row["holders_json"])) if row["holders_json"] else NOBODY,
        version=row["version"],
    )
