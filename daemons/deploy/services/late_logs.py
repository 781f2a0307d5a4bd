"""Appends to logs, within a transaction that holds the job's row: in their turn, and of attempts that are over."""

from dataclasses import dataclass, replace

from daemons.deploy.domain import late_logs, logs
from daemons.deploy.domain.jobs import Job, LeaseLost, Proof, holds
from daemons.deploy.domain.logs import LogClosed
from daemons.deploy.ports import Transaction
from protocol.jobs import JobStatus


@dataclass(frozen=True, slots=True)
class Appended:
    """The job after an append, the length of the attempt's part in bytes, and what was added to the log."""

    job: Job
    length: int
    piece: bytes


async def append_piece(tx: Transaction, before: Job, piece: bytes, after: Job) -> Appended:
    """Write what is new of the attempt that holds the job. Raises LogClosed."""
    length = logs.attempt_length(after)
    if after == before:
        return Appended(before, length, b"")
    if before.status.terminal and logs.closed(before, await tx.now()):
        raise LogClosed(before.id)
    await tx.append_log(before.id, before.log_length, piece)
    await tx.save_log(after)
    return Appended(after, length, piece)


async def append_late(tx: Transaction, job: Job, proof: Proof, offset: int, data: bytes, *, last: bool) -> Appended:
    """Write what is new of an attempt that its runner works on no more: in its own place while that is open, else as
    `late_logs` says. Raises LeaseLost, LogGap, LogFull, LogClosed or LogLater."""
    holder = late_logs.holder_of(proof)
    part = await tx.log_part(job.id, holder) if holder else None
    # Another process than the one that worked may bring this, started after that was killed; the token is proof enough.
    proof = replace(proof, instance=job.holders.instance)
    now = await tx.now()
    if part is None:
        if not holds(job, proof):
            raise LeaseLost(job.id)
        if job.status is JobStatus.RUNNING or not logs.closed(job, now):
            piece = logs.tail(job, proof, offset, data)
            return await append_piece(tx, job, piece, logs.grown(job, len(piece), last=last, left=True))
        part = late_logs.part_of(job, now, gap=False)
        if part is None:
            raise LeaseLost(job.id)
    after, brought, block = late_logs.taken(job, part, offset, data, now, last=last)
    if brought != part:
        await _keep_own_part(tx, job, now)
        await tx.append_log(job.id, job.log_length, block)
        await tx.save_log(after)
        await tx.put_log_part(brought)
        if job.status.terminal:
            await tx.settle_log(job.id, job.finished_at or now)
    return Appended(after, brought.received, block)


async def _keep_own_part(tx: Transaction, job: Job, now: int) -> None:
    """Note how far the ended job's last attempt is, which can be told from the log's length only as long as nothing
    follows it."""
    own = late_logs.part_of(job, now, gap=False) if job.status.terminal else None
    if own is not None and await tx.log_part(job.id, own.holder) is None:
        await tx.put_log_part(own)
