"""Logs of jobs: byte streams addressed by offset, appended by the holder, followed by readers."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import jobs
from daemons.deploy.domain.jobs import Job, Proof
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import RowMoved
from daemons.deploy.services.queue import found, locked

_CHUNK_BYTES: Final = 64 * 1024
_POLL_SECONDS: Final = 0.5
#: How long after its job's end a runner may still send the rest of the log.
_LATE_MS: Final = 25_000


class Logs:
    """Append and read."""

    def __init__(self, store: Store, bells: Bells) -> None:
        self._store = store
        self._bells = bells

    async def append(self, job_id: str, proof: Proof, offset: int, data: bytes) -> Job:
        """Store `data` at `offset`, less what is stored already. Raises JobNotFound, LeaseLost, LogGap or LogFull."""

        async def work(tx: Transaction) -> Job:
            before = await locked(tx, job_id)
            tail = jobs.log_tail(before, proof, offset, data)
            if not tail:
                return before
            await tx.append_log(job_id, before.log_length, tail)
            after = jobs.logged(before, len(tail))
            if not await tx.save_job(after, before):
                raise RowMoved(job_id)
            return after

        job = await self._store.transact(work)
        self._bells.job(job_id)
        return job

    async def require(self, job_id: str) -> None:
        """Raises JobNotFound."""
        await self._read(job_id, 0, 0)

    async def read(self, job_id: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset`; with `follow`, until the job ended and all of them were given.

        When an ended job's last bytes do not arrive within 25 seconds, a line says how many are missing.
        """
        with self._bells.of_job(job_id) as bell:
            while True:
                piece = await self._read(job_id, offset, _CHUNK_BYTES)
                if piece.data:
                    offset += len(piece.data)
                    yield piece.data
                elif not follow or piece.final or self._bells.closing:
                    break
                else:
                    await bell.wait(_POLL_SECONDS)
        missing = jobs.log_missing(piece.job)
        if missing and piece.final and offset == piece.job.log_length:
            yield jobs.gap_line(missing)

    async def _read(self, job_id: str, offset: int, limit: int) -> "_Piece":
        async def work(tx: Transaction) -> _Piece:
            job = found(await tx.job(job_id), job_id)
            data = await tx.read_log(job_id, offset, limit) if limit and offset < job.log_length else b""
            final = job.status.terminal
            if final and not data and jobs.log_missing(job):
                final = await tx.now() - (job.finished_at or 0) >= _LATE_MS
            return _Piece(job, data, final)

        return await self._store.transact(work)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some bytes of a log; `final` when none are expected after them."""

    job: Job
    data: bytes
    final: bool
