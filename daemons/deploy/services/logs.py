"""Logs of jobs: byte streams addressed by offset, appended by the holder, followed by readers."""

from collections.abc import AsyncGenerator
from typing import Final

from daemons.deploy.domain import jobs
from daemons.deploy.domain.jobs import Job, Proof
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import RowMoved
from daemons.deploy.services.queue import found, locked

_CHUNK_BYTES: Final = 64 * 1024
_POLL_SECONDS: Final = 0.5


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
        """The bytes from `offset`; with `follow`, until the job ended and all of them were given."""
        with self._bells.of_job(job_id) as bell:
            while True:
                job, data = await self._read(job_id, offset, _CHUNK_BYTES)
                if data:
                    offset += len(data)
                    yield data
                elif not follow or job.status.terminal or self._bells.closing:
                    return
                else:
                    await bell.wait(_POLL_SECONDS)

    async def _read(self, job_id: str, offset: int, limit: int) -> tuple[Job, bytes]:
        async def work(tx: Transaction) -> tuple[Job, bytes]:
            job = found(await tx.job(job_id), job_id)
            return job, await tx.read_log(job_id, offset, limit) if limit and offset < job.log_length else b""

        return await self._store.transact(work)
