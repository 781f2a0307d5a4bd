"""A job's log: one byte stream over all attempts, whose gaps are written down in their places.

A runner addresses bytes from its own attempt's first one; readers see the logs of all attempts as one stream. A log is
never shorter than it looks: where bytes are missing, a line says so, and the job counts the place.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from daemons.deploy.domain.jobs import Job, LeaseLost, Proof, holds, log_start
from protocol.errors import JobReason
from protocol.jobs import JobStatus

#: A user's build decides how much it prints; beyond this the control plane stores no more of it.
MOST_BYTES: Final = 64 * 1024 * 1024
#: How long after its job's end a runner may still send the rest.
LATE_MS: Final = 25_000
#: When a reader may take for granted that nothing comes after it, also what was being written in the last moment.
QUIET_MS: Final = LATE_MS + 2_000
#: With these the control plane ends an attempt itself; with all others its runner did, by a report.
_STOPPED: Final = (JobReason.TIMEOUT.value, JobReason.LEASE_LOST.value)


class LogGap(Exception):
    """Bytes before the given offset are missing."""

    def __init__(self, length: int) -> None:
        super().__init__(f"the log has {length} bytes; send what follows them")
        self.data = {"length": length}


class LogFull(Exception):
    """The log has reached its limit."""

    def __init__(self) -> None:
        super().__init__(f"a log holds at most {MOST_BYTES} bytes; the rest is not stored")


class LogClosed(Exception):
    """The job ended so long ago that its log is taken as it is."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} has ended and its log is closed; the rest is not stored")


class LogRemoved(LookupError):
    """The log was removed to make room."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"the log of job {job.id} was removed: {removal(job.log_removed)}")


class Removal(StrEnum):
    """Why a log was removed."""

    AGE = "age"
    SIZE = "size"


def tail(job: Job, proof: Proof, offset: int, data: bytes) -> bytes:
    """The part of `data` that the log does not have yet; `offset` counts from the attempt's first byte.

    Raises LeaseLost, LogGap or LogFull.
    """
    if not holds(job, proof):
        raise LeaseLost(job.id)
    length = attempt_length(job)
    if offset > length:
        raise LogGap(length)
    new = data[length - offset :]
    if job.log_length + len(new) > MOST_BYTES:
        raise LogFull
    return new


def grown(job: Job, size: int, *, last: bool = False, left: bool = False) -> Job:
    """The job with `size` more bytes of log; `last` when its runner, stopped before it could report, says that this is
    all. `left`: it says so of an attempt that it works on no more, whether the job has ended or not."""
    length = job.log_length + size
    ends = last and (job.status.terminal or left) and job.log_expected is None
    return replace(job, log_length=length, log_expected=length if ends else job.log_expected)


def attempt_length(job: Job) -> int:
    """How many bytes of the log are of the present attempt."""
    return job.log_length - log_start(job)


def closed(job: Job, now: int) -> bool:
    """Whether the ended job's runner may not send any more: too late, or its absence is written down already."""
    written_down = job.log_gaps > 0 and job.log_expected == job.log_length
    return written_down or now - (job.finished_at or 0) >= LATE_MS


def missing(job: Job) -> int:
    """How many bytes at the end of an ended job's log its holder wrote and did not send (yet)."""
    return max(0, job.log_expected - job.log_length) if job.status.terminal and job.log_expected is not None else 0


def open_end(job: Job) -> bool:
    """Whether the ended job's log may go on: bytes are missing, or the runner was stopped and has not said that this is
    all. One that sent none is not waited for: existing runners do not send their logs.
    """
    if not job.status.terminal or job.runner_id is None or job.log_removed is not None:
        return False
    stopped = job.status is JobStatus.CANCELLED or job.reason in _STOPPED
    return missing(job) > 0 or (stopped and job.log_expected is None and attempt_length(job) > 0)


def complete(job: Job) -> bool:
    """Whether the job ended and every byte of its log is here."""
    return job.status.terminal and not job.log_gaps and not open_end(job)


def settled(job: Job) -> tuple[Job, bytes]:
    """The ended job with its log closed, and the line that this adds to the log when something is missing."""
    if not open_end(job):
        return job, b""
    line = end_line(job)
    length = job.log_length + len(line)
    return replace(job, log_length=length, log_expected=length, log_gaps=job.log_gaps + 1), line


def end_line(job: Job) -> bytes:
    """What stands at the end of an ended log that is not whole."""
    count = missing(job)
    if count:
        return f"\n[gap] {count} more bytes of this log were written and never arrived from the runner\n".encode()
    return b"\n[gap] the runner did not say that this is all of the log\n"


def interrupted(was: Job, job: Job) -> tuple[Job, bytes]:
    """The job whose attempt ended before its runner could say that its log is whole, and the line that the log gets in
    this place; without one for every other change."""
    if job.holders.returns > was.holders.returns:
        return _returned(was, job)
    said_all = was.log_expected is not None or job.log_expected is not None
    if was.status is not JobStatus.RUNNING or said_all or not _silent(was, job):
        return job, b""
    line = (
        f"\n[gap] runner {was.runner_id} was lost in attempt {was.attempt}; "
        "what it wrote after this, if anything, never arrived\n"
    ).encode()
    length = job.log_length + len(line)
    expected = length if job.status.terminal else None
    return replace(job, log_length=length, log_expected=expected, log_gaps=job.log_gaps + 1), line


def _returned(was: Job, job: Job) -> tuple[Job, bytes]:
    """A job that was handed back; a PENDING one expects no more of its log."""
    if job.log_expected is None:
        return job, b""
    count = job.log_expected - job.log_length
    line = f"\n[gap] {count} more bytes of attempt {was.attempt} were written and never arrived\n".encode()
    return replace(job, log_length=job.log_length + len(line), log_expected=None, log_gaps=job.log_gaps + 1), line


def removed(job: Job, why: Removal, now: int) -> Job:
    """The job without its log."""
    return replace(job, log_removed=why.value, log_removed_at=now)


def removal(why: str | None) -> str:
    """Why a log was removed, in words."""
    if why == Removal.AGE:
        return "it was older than logs are kept (DEPLOY_LOG_KEPT_DAYS)"
    return "all logs together were larger than they may be (DEPLOY_LOG_TOTAL_MIB), and older ones go first"


def _silent(was: Job, job: Job) -> bool:
    if job.status is JobStatus.PENDING:
        return job.attempt == was.attempt  # else a claim whose answer nobody received was undone
    expired = (was.lease_expire_at or 0) <= job.updated_at
    return job.reason == JobReason.LEASE_LOST.value or (job.superseded_by is not None and expired)
