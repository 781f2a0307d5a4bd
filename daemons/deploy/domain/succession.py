"""What becomes of an app's active jobs when a newer one is ordered, and new jobs from ended ones.

An app has at most one RUNNING and one PENDING job. A newer job takes the place of the PENDING one and waits behind the
RUNNING one, or has that cancelled too. One that was told to go live is never cancelled: its image may have traffic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain import jobs
from daemons.deploy.domain.jobs import AppBusy, Job, Outcome, Proof
from protocol.errors import JobReason
from protocol.jobs import JobPayload, JobStatus, JobType, OnConflict, StageReport

_SUBMITTED: Final = frozenset(field.alias or name for name, field in JobPayload.model_fields.items())
_RETRIED: Final = (JobStatus.FAILED, JobStatus.CANCELLED)


class NotRetryable(Exception):
    """The job has not failed, or has nothing to repeat."""

    def __init__(self, job: Job, reason: str | None = None) -> None:
        why = f"job {job.id} is {job.status.value} and only one that FAILED or was CANCELLED can be retried"
        if reason is not None:
            why = f"job {job.id} {reason}"
        elif job.type is JobType.MIGRATE_APP:
            why = f"job {job.id} is a move that a drain ordered, and only a drain orders another"
        super().__init__(f"{why}; order a new deployment instead")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the orderer of a job wants done about the app's active jobs."""

    on_conflict: OnConflict = OnConflict.REJECT
    cancel_running: bool = False


def retry(job: Job, job_id: str, now: int) -> Job:
    """A new PENDING job with the order of an ended one. Raises NotRetryable."""
    if job.status not in _RETRIED or job.type is JobType.MIGRATE_APP:
        raise NotRetryable(job)
    return _repeated(job, job_id, now)


def rebuild(job: Job, git_ref: str, job_id: str, now: int) -> Job:
    """A new PENDING job that builds this reference, otherwise with the order of another one, whatever became of that.
    Raises NotRetryable for one that built nothing."""
    if job.type is JobType.MIGRATE_APP or job.payload.get("image") is not None:
        raise NotRetryable(job, "deploys an image that was built before, and no source")
    fresh = _repeated(job, job_id, now)
    return replace(fresh, payload={**fresh.payload, "gitRef": git_ref})


def _repeated(job: Job, job_id: str, now: int) -> Job:
    order = {key: value for key, value in job.payload.items() if key in _SUBMITTED}
    fresh = Job(job_id, job.type, JobStatus.PENDING, job.app_id, job.user_id, order, now, now, retry_of=job.id)
    return replace(fresh, priority=job.priority, requires=job.requires)


def check(app_id: str, active: Sequence[Job], policy: Policy) -> None:
    """Raises AppBusy when the app has an active job that the new one neither supersedes nor takes precedence of."""
    standing = [job for job in active if not gives_way(job, policy)]
    if standing and policy.on_conflict is OnConflict.REJECT:
        raise AppBusy(app_id, standing[0])


def gives_way(job: Job, policy: Policy) -> bool:
    """Whether this job of the app is cancelled in favour of the new one: a move that has not begun always is, and the
    new job moves the app itself."""
    if job.type is JobType.MIGRATE_APP and job.status is JobStatus.PENDING:
        return True
    if policy.on_conflict is OnConflict.REJECT:
        return False
    if job.status is JobStatus.RUNNING:
        return policy.cancel_running and job.confirmed_at is None
    return job.status is JobStatus.PENDING


def after(job: Job, newest_at: int | None) -> Job:
    """The new job, created later than the app's newest one, active or ended: that is told by its time of creation,
    several may be created within one millisecond, and the database's clock may be set back. `updated_at` stays what
    the clock says: the job's place in line must not depend on what the clock said before."""
    return job if newest_at is None or job.created_at > newest_at else replace(job, created_at=newest_at + 1)


def supersede(job: Job, successor_id: str, now: int) -> Job:
    """PENDING or RUNNING becomes CANCELLED in favour of a newer job. Raises TooLate when it is going live."""
    cancelled = jobs.cancel(job, now)
    return replace(cancelled, reason=JobReason.SUPERSEDED.value, superseded_by=successor_id)


def expire(job: Job, successor_id: str | None, max_attempts: int, now: int) -> Job:
    """The lease ran out: as `jobs.expire`, but a job that a newer one waits behind is not tried again."""
    if successor_id is None or jobs.is_last_attempt(job, max_attempts):
        return jobs.expire(job, max_attempts, now)
    if job.confirmed_at is None:
        return supersede(job, successor_id, now)
    text = f"runner {job.runner_id} stopped renewing its lease while the app went live; job {successor_id} is next"
    failed = jobs.finish(job, Outcome(JobStatus.FAILED, text, JobReason.LEASE_LOST.value), now)
    return replace(failed, superseded_by=successor_id)


def give_back(job: Job, successor_id: str | None, now: int) -> Job:
    """A claim whose answer nobody received: as `jobs.give_back`, but a job that a newer one waits behind makes room."""
    return jobs.give_back(job, now) if successor_id is None else supersede(job, successor_id, now)


def hand_back(
    job: Job,
    proof: Proof,
    log_length: int | None,
    stages: tuple[StageReport, ...],
    successor_id: str | None,
    now: int,
) -> Job:
    """A stopped runner gives its job back: as `jobs.hand_back`, but a job that a newer one waits behind makes room."""
    after = jobs.hand_back(job, proof, log_length, stages, now)
    if after is job or successor_id is None:
        return after
    if job.confirmed_at is None:
        return supersede(job, successor_id, now)
    text = f"runner {job.runner_id} was stopped while the app went live; job {successor_id} is next"
    failed = jobs.finish(job, Outcome(JobStatus.FAILED, text, JobReason.RUNNER_STOPPED.value), now)
    return replace(failed, superseded_by=successor_id)
