"""A job and its life.

`PENDING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED`, `PENDING -> CANCELLED`, and `RUNNING -> PENDING` only by
lease expiry, by a runner that hands the job back, or when a claim's answer could not be delivered.
Every change makes a new value; the store writes it only if the row still is the one the change started from.
A function that finds nothing to change answers the job it was given.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.holders import NOBODY, Holders, lease_key
from daemons.deploy.domain.stages import Stage, recorded
from protocol.errors import JobReason
from protocol.jobs import JobPayload, JobStatus, JobType, StageReport

_BACKOFF_MS: Final = (1_000, 20_000, 60_000)
_MESSAGE_BYTES: Final = 16 * 1024
_MOST_BYTES: Final = 2**53
_CUT_MARK: Final = "\n[... {} bytes left out ...]\n"
#: Written into the payload by the control plane: where the present attempt's part of the log begins.
LOG_START: Final = "logStart"


class JobNotFound(LookupError):
    """There is no such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id}")


class AppBusy(Exception):
    """The app already has an active job."""

    def __init__(self, app_id: str, active: "Job | None") -> None:
        which = f"job {active.id} is {active.status.value}" if active else "another job was created at the same time"
        super().__init__(f"app {app_id} is busy: {which}; wait until it ends or cancel it")
        self.data = {"jobId": active.id} if active else None


class IllegalTransition(Exception):
    """The life of a job has no such step."""

    def __init__(self, job: "Job", wanted: JobStatus) -> None:
        super().__init__(f"job {job.id} is {job.status.value} and cannot become {wanted.value}")


class LeaseLost(Exception):
    """The caller does not hold the job (any more)."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} is not held by this runner under this lease; stop working on it")


class TooLate(Exception):
    """The attempt was told to go live; cancelling it now could not keep its image from traffic."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} is going live and can no longer be cancelled; deploy again or stop the app")


@dataclass(frozen=True, slots=True)
class Job:
    """One deployment order. `version` counts writes and guards them; `fence` rises with every claim of the app's
    jobs. `superseded_by` is the newer job that this one gave way to, `retry_of` the ended one whose order it repeats.
    `claim_key` is what the claim that got the job is known by, until the runner shows that it has the answer.

    `log_length` bytes of log are here; the holder said at the end that there are `log_expected`. `log_gaps` counts the
    places where some are known to be missing. The log was removed for `log_removed`, at `log_removed_at`. Until
    `log_followed_until` somebody reads it as it grows.
    """

    id: str
    type: JobType
    status: JobStatus
    app_id: str
    user_id: str
    payload: Mapping[str, object]
    created_at: int
    updated_at: int
    attempt: int = 0
    fence: int | None = None
    runner_id: str | None = None
    lease_token: str | None = None
    lease_expire_at: int | None = None
    not_before: int = 0
    started_at: int | None = None
    confirmed_at: int | None = None
    finished_at: int | None = None
    phase: str | None = None
    phase_message: str | None = None
    error_message: str | None = None
    reason: str | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    log_length: int = 0
    log_expected: int | None = None
    log_gaps: int = 0
    log_removed: str | None = None
    log_removed_at: int | None = None
    log_followed_until: int = 0
    superseded_by: str | None = None
    retry_of: str | None = None
    priority: int = 0
    requires: tuple[str, ...] = ()
    claim_key: str | None = None
    stages: tuple[Stage, ...] = ()
    holders: Holders = NOBODY
    version: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """What a claim gives a runner."""

    runner_id: str
    token: str
    fence: int
    milliseconds: int
    claim_key: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a runner shows to act on a job, and where it called from. `tokenless` admits one without a token by its id
    alone. `instance` is the process that calls; existing runners tell none."""

    runner_id: str
    lease_token: str | None
    tokenless: bool = False
    address: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; `log_length` is how many bytes its holder logged, `log_dropped` how many it left out."""

    status: JobStatus
    error_message: str | None = None
    reason: str | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    log_length: int | None = None
    log_dropped: int = 0
    stages: tuple[StageReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a runner says it is doing, and what it has done in this attempt."""

    phase: str | None = None
    message: str | None = None
    stages: tuple[StageReport, ...] = ()


def submit(
    job_id: str, kind: JobType, payload: JobPayload, now: int, *, priority: int = 0, requires: tuple[str, ...] = ()
) -> Job:
    """A new job, PENDING; keys the submitter left out are not stored."""
    stored = payload.model_dump(mode="json", by_alias=True, exclude_none=True)
    job = Job(job_id, kind, JobStatus.PENDING, payload.app_id, payload.user_id, stored, now, now)
    return replace(job, priority=priority, requires=requires)


def claim(job: Job, lease: Lease, now: int) -> Job:
    """PENDING becomes RUNNING under a lease. Raises IllegalTransition from any other state."""
    if job.status is not JobStatus.PENDING:
        raise IllegalTransition(job, JobStatus.RUNNING)
    return replace(
        _touched(job, now),
        status=JobStatus.RUNNING,
        payload={**job.payload, LOG_START: job.log_length} if job.log_length else job.payload,
        attempt=job.attempt + 1,
        fence=lease.fence,
        runner_id=lease.runner_id,
        lease_token=lease.token,
        claim_key=lease.claim_key,
        holders=job.holders.held_by(lease.instance),
        lease_expire_at=now + lease.milliseconds,
        started_at=now,
        confirmed_at=None,
        phase=None,
        phase_message=None,
        error_message=None,
        reason=None,
    )


def redeliver(job: Job, claim_key: str, milliseconds: int, now: int) -> Job | None:
    """The job for the claim that got it and asks again, with a new lease; None when it is no longer that claim's."""
    expired = job.lease_expire_at is None or job.lease_expire_at <= now
    if job.status is not JobStatus.RUNNING or job.claim_key != claim_key or expired:
        return None
    return replace(_touched(job, now), lease_expire_at=now + milliseconds)


def give_back(job: Job, now: int) -> Job:
    """A claim whose answer nobody received: PENDING again, as if it had not been claimed. The fence stays used."""
    return _requeued(job, now, not_before=now, attempt=job.attempt - 1)


def hand_back(job: Job, proof: Proof, log_length: int | None, stages: tuple[StageReport, ...], now: int) -> Job:
    """A runner that is being stopped gives its job back: PENDING again at once. The attempt counts, but not against
    the most that are allowed.

    The same once more, and a job that ended meanwhile, are answered unchanged. Raises LeaseLost. `log_length` is how
    many bytes the attempt logged: `log_expected` says so when some have not arrived.
    """
    key = lease_key(proof.runner_id, proof.instance, proof.lease_token)
    if job.holders.returned_key is not None and hmac.compare_digest(job.holders.returned_key, key):
        return job
    if not holds(job, proof):
        raise LeaseLost(job.id)
    if job.status is not JobStatus.RUNNING:
        return job
    expected = min(log_start(job) + (log_length or 0), _MOST_BYTES)
    return replace(
        _requeued(job, now, not_before=now, attempt=job.attempt),
        holders=job.holders.returned(proof.runner_id, key),
        stages=_stages(job, stages),
        log_expected=expected if expected > job.log_length else None,
    )


def is_last_attempt(job: Job, max_attempts: int) -> bool:
    """Whether no attempt may follow this one when its runner is lost; attempts that were handed back do not count."""
    return job.attempt - job.holders.returns >= max_attempts


def expire(job: Job, max_attempts: int, now: int) -> Job:
    """The lease ran out: PENDING again after a back-off, or FAILED after the last attempt."""
    if not is_last_attempt(job, max_attempts):
        delay = _BACKOFF_MS[min(max(job.attempt, 1), len(_BACKOFF_MS)) - 1]
        return _requeued(job, now, not_before=now + delay, attempt=job.attempt)
    text = f"runner {job.runner_id} stopped renewing its lease in attempt {job.attempt} of {max_attempts}"
    return finish(job, Outcome(JobStatus.FAILED, text, JobReason.LEASE_LOST.value), now)


def time_out(job: Job, limit_seconds: int, now: int) -> Job:
    """The attempt ran longer than an operator allows: FAILED."""
    text = f"the attempt ran longer than {limit_seconds} s (DEPLOY_JOB_MAX_RUNNING_SECONDS)"
    return finish(job, Outcome(JobStatus.FAILED, text, JobReason.TIMEOUT.value), now)


def holds(job: Job, proof: Proof) -> bool:
    """Whether the runner holds the job, or held it when it ended. Tokens are compared in constant time."""
    if job.runner_id != proof.runner_id or job.lease_token is None or job.holders.instance != proof.instance:
        return False
    if proof.lease_token is None:
        return proof.tokenless
    return hmac.compare_digest(job.lease_token.encode(), proof.lease_token.encode("utf-8", "surrogateescape"))


def renew(job: Job, proof: Proof, milliseconds: int, progress: Progress, now: int) -> Job:
    """The lease becomes now + `milliseconds`. A job that the control plane ended is answered as it is.

    Raises LeaseLost for every other caller and state.
    """
    if not holds(job, proof):
        raise LeaseLost(job.id)
    if job.status is JobStatus.CANCELLED or job.reason == JobReason.TIMEOUT.value:
        return job
    if job.status is not JobStatus.RUNNING:
        raise LeaseLost(job.id)
    return replace(
        _touched(job, now),
        lease_expire_at=now + milliseconds,
        claim_key=None,
        phase=progress.phase or job.phase,
        phase_message=cut(progress.message) if progress.message else job.phase_message,
        stages=_stages(job, progress.stages),
    )


def report(job: Job, proof: Proof, outcome: Outcome, now: int) -> Job:
    """The attempt's end as its runner tells it. Raises LeaseLost or IllegalTransition."""
    if not holds(job, proof):
        raise LeaseLost(job.id)
    return finish(job, outcome, now)


def finish(job: Job, outcome: Outcome, now: int) -> Job:
    """RUNNING becomes terminal; the same end once more answers the job unchanged. Raises IllegalTransition."""
    if job.status is outcome.status and job.status.terminal:
        return job
    if job.status is not JobStatus.RUNNING or not outcome.status.terminal:
        raise IllegalTransition(job, outcome.status)
    text, reason = outcome.error_message, outcome.reason
    if outcome.status is JobStatus.SUCCEEDED:
        text = reason = None
    elif outcome.status is JobStatus.CANCELLED:
        reason = reason or JobReason.CANCELLED.value
    else:
        text = text if text and text.strip() else "the deployment failed; its runner gave no reason"
        reason = reason or JobReason.REPORTED.value
    expected = job.log_expected if outcome.log_length is None else min(log_start(job) + outcome.log_length, _MOST_BYTES)
    return replace(
        _touched(job, now),
        status=outcome.status,
        error_message=cut(text) if text else None,
        reason=reason,
        image=outcome.image or job.image,
        image_digest=outcome.image_digest or job.image_digest,
        commit=outcome.commit or job.commit,
        log_expected=expected,
        log_gaps=job.log_gaps + 1 if outcome.log_dropped else job.log_gaps,
        finished_at=now,
        claim_key=None,
        stages=_stages(job, outcome.stages),
    )


def cancel(job: Job, now: int) -> Job:
    """PENDING or RUNNING becomes CANCELLED. Raises TooLate once the attempt is going live, IllegalTransition after
    success or failure."""
    if job.status is JobStatus.CANCELLED:
        return job
    if job.status.terminal:
        raise IllegalTransition(job, JobStatus.CANCELLED)
    if job.status is JobStatus.RUNNING and job.confirmed_at is not None:
        raise TooLate(job.id)
    reason = JobReason.CANCELLED.value
    return replace(
        _touched(job, now),
        status=JobStatus.CANCELLED,
        reason=reason,
        error_message=None,
        finished_at=now,
        claim_key=None,
    )


def move(job: Job, wanted: JobStatus, error_message: str | None, now: int) -> Job:
    """A step by hand. RUNNING is reached by a claim only; the present state once more changes nothing."""
    if job.status is wanted:
        return job
    if wanted is JobStatus.CANCELLED:
        return cancel(job, now)
    return finish(job, Outcome(wanted, error_message), now)


def confirm(job: Job, fence: int, now: int) -> Job | None:
    """The job with its attempt marked as going live, or None when that attempt does not hold (any more)."""
    expired = job.lease_expire_at is None or job.lease_expire_at <= now
    if job.status is not JobStatus.RUNNING or job.fence != fence or expired:
        return None
    return job if job.confirmed_at is not None else replace(_touched(job, now), confirmed_at=now)


def cut(text: str) -> str:
    """At most 16 KiB of UTF-8: the head and the tail, which is where tools print what went wrong."""
    data = text.encode("utf-8", "replace")
    if len(data) <= _MESSAGE_BYTES:
        return data.decode()
    mark = _CUT_MARK.format(len(data) - _MESSAGE_BYTES)
    part = (_MESSAGE_BYTES - len(mark)) // 2
    return data[:part].decode("utf-8", "ignore") + mark + data[-part:].decode("utf-8", "ignore")


def log_start(job: Job) -> int:
    """How many bytes of the log are of attempts before the present one."""
    start = job.payload.get(LOG_START)
    return start if isinstance(start, int) else 0


def _stages(job: Job, reports: tuple[StageReport, ...]) -> tuple[Stage, ...]:
    return recorded(job.stages, job.attempt, job.started_at or job.created_at, reports)


def _requeued(job: Job, now: int, *, not_before: int, attempt: int) -> Job:
    return replace(
        _touched(job, now),
        status=JobStatus.PENDING,
        attempt=attempt,
        not_before=not_before,
        runner_id=None,
        lease_token=None,
        lease_expire_at=None,
        started_at=None,
        confirmed_at=None,
        phase=None,
        phase_message=None,
        fence=None,
        claim_key=None,
        holders=job.holders.held_by(None),
        log_expected=None,
    )


def _touched(job: Job, now: int) -> Job:
    return replace(job, updated_at=now, version=job.version + 1)
