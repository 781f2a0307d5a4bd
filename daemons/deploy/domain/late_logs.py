"""What a runner brings of an attempt whose part of the log was closed: it was killed, or the control plane was away.

The bytes wait on the runner's disk. They are taken while no attempt of the job is at work, so that they never stand
among another attempt's: at once while the job is PENDING, else behind the end of the log. Each block says whose it is.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.jobs import Job, Proof
from daemons.deploy.domain.logs import MOST_BYTES, LogClosed, LogFull, LogGap, attempt_length, closed, open_end
from protocol.jobs import JobStatus

#: How long after its part was closed a runner may bring the rest.
KEPT_MS: Final = 24 * 3600 * 1000


class LogLater(Exception):
    """The log takes these bytes, but not now."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the log of job {job_id} belongs to another attempt now; send this again when that has ended")


@dataclass(frozen=True, slots=True)
class LogPart:
    """One attempt's part of a log, closed at `closed_at` (epoch ms).

    `holder` is a digest of who held the attempt, and under which lease. `received` bytes of it are in the log, the
    last of them before `end`, where the log's length was this at the time. `gap`: the log says that more is missing.
    `whole`: its runner said that this is all.
    """

    job_id: str
    holder: str
    attempt: int
    received: int
    end: int
    closed_at: int
    gap: bool = False
    whole: bool = False


def holder_of(proof: Proof) -> str | None:
    """Who shows this proof; None for a proof without a token, which proves nothing once its lease is over."""
    return _digest(proof.runner_id, proof.lease_token) if proof.lease_token else None


def part_of(job: Job, now: int, *, gap: bool) -> LogPart | None:
    """The part of the attempt that the job is in, as it is closed now; None when nobody could prove it his."""
    if job.runner_id is None or not job.lease_token:
        return None
    holder = _digest(job.runner_id, job.lease_token)
    whole = job.log_expected is not None and job.log_expected <= job.log_length
    return LogPart(job.id, holder, job.attempt, attempt_length(job), job.log_length, now, gap=gap, whole=whole)


def free(job: Job, now: int) -> bool:
    """Whether no attempt writes into the log, or may still do so."""
    return job.status is JobStatus.PENDING or (job.status.terminal and closed(job, now) and not open_end(job))


def taken(job: Job, part: LogPart, offset: int, data: bytes, now: int, *, last: bool) -> tuple[Job, LogPart, bytes]:
    """The job and the part with what is new of `data`, and the bytes that this adds to the log. `last` when the runner
    has no more. Raises LogClosed, LogGap, LogLater or LogFull."""
    if job.log_removed is not None or now - part.closed_at >= KEPT_MS:
        raise LogClosed(job.id)
    if offset > part.received:
        raise LogGap(part.received)
    new = data[part.received - offset :]
    ends = last and not part.whole
    if not new and not ends:
        return job, part, b""
    if not free(job, now):
        raise LogLater(job.id)
    block = _block(job, part, new) + (_end(part) if ends and (part.gap or new) else b"")
    if job.log_length + len(block) > MOST_BYTES:
        raise LogFull
    length = job.log_length + len(block)
    mended = ends and part.gap
    after = replace(
        job,
        log_length=length,
        log_expected=length if job.status.terminal else job.log_expected,
        log_gaps=max(0, job.log_gaps - 1) if mended else job.log_gaps,
    )
    return after, replace(part, received=part.received + len(new), end=length, whole=part.whole or ends), block


def _block(job: Job, part: LogPart, new: bytes) -> bytes:
    if not new or part.end == job.log_length:
        return new
    return f"\n[late] this is of attempt {part.attempt}, whose runner brought it later:\n".encode() + new


def _end(part: LogPart) -> bytes:
    return f"\n[late] the log of attempt {part.attempt} ends here; nothing of it is missing\n".encode()


def _digest(runner_id: str, token: str) -> str:
    return hashlib.sha256(f"{runner_id}\0{token}".encode("utf-8", "surrogateescape")).hexdigest()
