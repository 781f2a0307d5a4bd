"""A job's log: redacted, spooled to the runner's disk first, uploaded by offset beside the work.

Neither a full disk nor an absent control plane may hold up the work. What cannot be kept is left out, counted, and the
log says so in its place; of a log that is too long the end is kept, because that is where builds say why they failed.
"""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Final

from daemons.kit.log_stream import LogStream
from daemons.kit.logs import Redactor
from daemons.kit.tasks import running, shielded
from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlane, ControlPlaneDown, LeaseLost, LogGap, LogRefused, Pacer, Spool
from daemons.runner.services.pace import backoff

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 16 * 1024 * 1024
PIECE_BYTES: Final = 256 * 1024
_UNSPOOLED_BYTES: Final = 64 * 1024
#: Of a log that is too long, what is kept of its end.
_END_BYTES: Final = 64 * 1024
_GAP: Final = b"\n[gap] %d bytes of this log are left out here, because it was too long or the runner's disk full\n"
_TAIL_LINES: Final = 200
_TAIL_LINE: Final = 4 * 1024
_SPOOL_SECONDS: Final = 0.05
_DISK_SECONDS: Final = 30.0
#: Seconds between two uploads: while nobody reads along, while somebody does, and when the control plane does not tell.
_PAUSES: Final = {False: 1.0, True: 0.05, None: 0.2}


class JobLog:
    """The one place a job's output goes to. At most 200 KiB of it and the last 200 lines are held in memory."""

    def __init__(self, spool: Spool, redactor: Redactor, most_bytes: int = MOST_BYTES) -> None:
        self.news = asyncio.Event()
        self.spooled = asyncio.Event()
        self.length = 0
        #: So many bytes were left out, because the log was too long or the disk full.
        self.dropped = 0
        self._spool = spool
        self._stream = LogStream(redactor)
        self._room = most_bytes
        self._pending = bytearray()
        self._end = bytearray()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._line = ""
        self._ended = False
        self._writing = asyncio.Lock()

    async def write(self, text: str) -> None:
        """Take a piece of output."""
        self._take(self._stream.feed(text))
        if len(self._pending) > _UNSPOOLED_BYTES:
            await self.spool()

    async def keep(self) -> None:
        """Bring to the disk what comes, at once or soon after, until cancelled."""
        while True:
            await self.news.wait()
            await self.spool()
            await asyncio.sleep(_SPOOL_SECONDS)

    async def spool(self) -> None:
        """Bring what was taken to the disk; who is cancelled meanwhile goes when it is there, and not before."""
        await shielded(self._append(), seconds=_DISK_SECONDS)

    async def _append(self) -> None:
        async with self._writing:
            self.news.clear()
            data = bytes(self._pending)
            self._pending.clear()
            if not data:
                return
            try:
                self.length = await self._spool.append(data)
            except OSError as error:
                self._room = 0
                self.dropped += len(data)
                logger.warning("a job's log could not be kept", extra={"error": str(error)})
        self.spooled.set()

    async def end(self) -> None:
        """Nothing follows: bring the rest to the disk, for good. Once more it does nothing."""
        if self._ended:
            return
        self._ended = True
        self._take(self._stream.end())
        if self.dropped:
            self._pending += _GAP % self.dropped
        self._pending += self._end
        self._end.clear()
        await self.spool()
        try:
            await self._spool.finish()
        except OSError as error:
            logger.warning("a job's log may not outlast a crash of this machine", extra={"error": str(error)})

    async def read(self, offset: int) -> bytes:
        """The next bytes to upload."""
        return await self._spool.read(offset, PIECE_BYTES)

    def tail(self) -> tuple[str, ...]:
        """The last lines; of one that was rewritten what it was last."""
        unfinished = self._line + self._stream.held
        return (*self._tail, _last_version(unfinished)) if unfinished else tuple(self._tail)

    def _take(self, text: str) -> None:
        if not text:
            return
        *whole, line = (self._line + text).split("\n")
        self._line = line[-_TAIL_LINE:]
        self._tail.extend(map(_last_version, whole[-_TAIL_LINES:]))
        data = text.encode(errors="replace")
        self._pending += data[: self._room]
        beyond = data[self._room :]
        self._room -= len(data) - len(beyond)
        self._end += beyond
        if len(self._end) > _END_BYTES:
            self.dropped += len(self._end) - _END_BYTES
            del self._end[:-_END_BYTES]
        self.news.set()


class LogUploader:
    """Brings the spooled log to the control plane while the work goes on, from wherever that stands.

    While somebody reads along, lines leave at once; else they are gathered for up to a second, so that hundreds of
    chatty builds that nobody watches cost the control plane little. What it does not bring is `leftovers`' to bring.
    """

    def __init__(self, control: ControlPlane, attempt: Attempt, log: JobLog, pacer: Pacer) -> None:
        self._control = control
        self._attempt = attempt
        self._log = log
        self._pacer = pacer
        self._followed: bool | None = None
        self._offset = 0
        self._refused = False

    @property
    def whole(self) -> bool:
        """Whether the control plane has every byte that was spooled."""
        return not self._refused and self._offset >= self._log.length

    async def run(self) -> None:
        """Spool and upload what comes, until cancelled."""
        async with running(self._log.keep):
            try:
                await self._upload()
            except Exception:
                logger.exception("a log's upload crashed", extra={"job_id": self._attempt.job_id})
            await asyncio.Event().wait()

    async def finish(self, seconds: float) -> None:
        """Upload the rest, for at most so long. Never raises for what the control plane does."""
        with contextlib.suppress(TimeoutError):
            async with self._pacer.limit(seconds):
                await self._send_all()

    async def _upload(self) -> None:
        while not self._refused:
            await self._log.spooled.wait()
            self._log.spooled.clear()
            await self._send_all()
            await self._pacer.sleep(_PAUSES[self._followed])

    async def _send_all(self) -> None:
        pauses = backoff(0.2, 5.0)
        while not self._refused and self._offset < self._log.length:
            data = await self._log.read(self._offset)
            if not data:
                return
            try:
                there = await self._control.upload(self._attempt, self._offset, data)
                self._offset, self._followed = there.length, there.followed
                pauses = backoff(0.2, 5.0)
            except LogGap as gap:
                self._offset = min(gap.length, self._log.length)
                await self._pacer.sleep(next(pauses))
            except (LogRefused, LeaseLost) as error:
                self._refused = True
                logger.warning("a job's log is not taken", extra={"job_id": self._attempt.job_id, "error": str(error)})
            except ControlPlaneDown:
                await self._pacer.sleep(next(pauses))


def _last_version(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2][-_TAIL_LINE:]
