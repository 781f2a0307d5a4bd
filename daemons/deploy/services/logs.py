"""Logs of jobs: byte streams addressed by offset, appended by the holder, followed by readers.

An append in this process reaches the readers in it at once. What other replicas append is found by one look at all logs
that are read here, ten times a second while there are any. That somebody reads is written on the job, so that whichever
replica takes the runner's next piece can tell it to send its lines at once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import logs
from daemons.deploy.domain.jobs import Job, Proof
from daemons.deploy.domain.logs import LogRemoved
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.ports.history import LogPosition
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.late_logs import Appended, append_late, append_piece
from daemons.deploy.services.logtails import Tails
from daemons.deploy.services.queue import found, locked
from daemons.kit.clock import Clock

LOOK_SECONDS: Final = 0.1
_SEGMENT_BYTES: Final = 256 * 1024
_PATIENCE_SECONDS: Final = 5.0
_FOLLOWED_MS: Final = 15_000
_NOTE_SECONDS: Final = 5.0
_MOST_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Taken:
    """What an append led to: the length of the attempt's part in bytes; `followed` when somebody reads the log as it
    grows."""

    job: Job
    length: int
    followed: bool


class Logs:
    """Append and read. `watch` is its loop."""

    def __init__(self, store: Store, bells: Bells, clock: Clock) -> None:
        self._store = store
        self._bells = bells
        self._clock = clock
        self._readers: Counter[str] = Counter()
        self._anybody = asyncio.Event()
        self._known: Mapping[str, LogPosition] = {}
        self._noted: dict[str, float] = {}
        self._tails = Tails()

    async def append(self, job_id: str, proof: Proof, offset: int, data: bytes, *, last: bool = False) -> Taken:
        """Store `data` at `offset`, less what is stored already; `last` when a runner that was stopped says that this
        is all. Raises JobNotFound, LeaseLost, LogGap, LogFull or LogClosed."""

        async def work(tx: Transaction) -> Appended:
            before = await locked(tx, job_id)
            piece = logs.tail(before, proof, offset, data)
            return await append_piece(tx, before, piece, logs.grown(before, len(piece), last=last))

        return self._told(await self._store.transact(work))

    async def append_late(self, job_id: str, proof: Proof, offset: int, data: bytes, *, last: bool = False) -> Taken:
        """As `append`, for an attempt that its runner works on no more; also after its part was closed. Raises LogLater
        too, while another attempt writes."""

        async def work(tx: Transaction) -> Appended:
            return await append_late(tx, await locked(tx, job_id), proof, offset, data, last=last)

        return self._told(await self._store.transact(work))

    def _told(self, done: Appended) -> Taken:
        job, piece = done.job, done.piece
        if job.id in self._readers and piece:
            self._tails.add(job.id, job.log_length - len(piece), piece)
        self._bells.log(job.id)
        now_ms = int(self._clock.now().timestamp() * 1000)
        return Taken(job, done.length, job.id in self._readers or job.log_followed_until > now_ms)

    async def require(self, job_id: str) -> None:
        """Raises JobNotFound or LogRemoved."""
        await self._read(job_id, 0, 0)

    async def read(self, job_id: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset`; with `follow`, until the job ended and all of them were given.

        When an ended job's last bytes do not arrive within half a minute, a line says so.
        """
        with self._reading(job_id, follow=follow), self._bells.of_log(job_id) as bell:
            while True:
                if known := self._tails.read(job_id, offset):
                    offset += len(known)
                    yield known
                    continue
                piece = await self._read(job_id, offset, _SEGMENT_BYTES - offset % _SEGMENT_BYTES)
                if piece.data:
                    offset += len(piece.data)
                    yield piece.data
                elif not follow or piece.final or self._bells.closing:
                    break
                else:
                    await bell.wait(_PATIENCE_SECONDS)
        if piece.final and logs.open_end(piece.job) and offset == piece.job.log_length:
            yield logs.end_line(piece.job)

    @contextmanager
    def _reading(self, job_id: str, *, follow: bool) -> Iterator[None]:
        if not follow:
            yield
            return
        self._readers[job_id] += 1
        self._anybody.set()
        try:
            yield
        finally:
            self._readers[job_id] -= 1
            self._readers += Counter()
            if job_id not in self._readers:
                self._tails.drop(job_id)
            if not self._readers:
                self._anybody.clear()

    async def watch(self) -> None:
        """Wake the readers of logs that grew or ended anywhere; wait while nobody reads."""
        await self._anybody.wait()
        ids = list(self._readers)[:_MOST_LOOKED_AT]
        now = asyncio.get_running_loop().time()
        to_note = [job_id for job_id in ids if self._noted.get(job_id, 0) <= now]

        async def work(tx: Transaction) -> tuple[Mapping[str, LogPosition], list[tuple[str, int, bytes]]]:
            if to_note:
                await tx.follow_logs(to_note, await tx.now() + _FOLLOWED_MS)
            found = await tx.log_positions(ids)
            return found, [
                (job_id, start, await tx.read_log(job_id, start, _SEGMENT_BYTES))
                for job_id, place in found.items()
                if (start := self._seen_to(job_id)) is not None and start < place.length
            ]

        known, pieces = await self._store.transact(work)
        for job_id, start, data in pieces:
            if job_id in self._readers:
                self._tails.add(job_id, start, data)
        self._noted = {each: self._noted.get(each, 0) for each in ids} | dict.fromkeys(to_note, now + _NOTE_SECONDS)
        for job_id in ids:
            if known.get(job_id) != self._known.get(job_id):
                self._bells.log(job_id)
        self._known = known

    def _seen_to(self, job_id: str) -> int | None:
        before = self._known.get(job_id)
        return self._tails.end(job_id) or (before.length if before else None)

    async def _read(self, job_id: str, offset: int, limit: int) -> "_Piece":
        async def work(tx: Transaction) -> _Piece:
            job = found(await tx.job(job_id), job_id)
            if job.log_removed is not None:
                raise LogRemoved(job)
            data = await tx.read_log(job_id, offset, limit) if limit and offset < job.log_length else b""
            final = job.status.terminal
            if final and not data and logs.open_end(job):
                final = await tx.now() - (job.finished_at or 0) >= logs.QUIET_MS
            return _Piece(job, data, final)

        return await self._store.transact(work)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some bytes of a log; `final` when none are expected after them."""

    job: Job
    data: bytes
    final: bool
