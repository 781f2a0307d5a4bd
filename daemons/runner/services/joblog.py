"""A job's log: redacted, spooled to the runner's disk first, uploaded by offset beside the work.

Text is redacted line by line, because a secret may arrive in two pieces. Neither a full disk nor an absent control
plane may hold up the work: what cannot be kept is dropped, and the log says so.
"""

import asyncio
import logging
from collections import deque
from typing import Final

from daemons.kit.logs import Redactor
from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlane, ControlPlaneDown, LeaseLost, LogGap, LogRefused, Pacer, Spool
from daemons.runner.services.pace import backoff

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
_UNSPOOLED_BYTES: Final = 64 * 1024
_LONGEST_LINE: Final = 8 * 1024
_OVERLAP: Final = 1024
_TAIL_LINES: Final = 200
#: Seconds between two uploads: while nobody reads along, while somebody does, and when the control plane does not tell.
_PAUSES: Final = {False: 1.0, True: 0.05, None: 0.2}
_CUT: Final = b"\n[the log is too long; the rest is not kept]\n"


class JobLog:
    """The one place a job's output goes to."""

    def __init__(self, spool: Spool, redactor: Redactor, most_bytes: int = MOST_BYTES) -> None:
        self.news = asyncio.Event()
        self.length = 0
        self._spool = spool
        self._redact = redactor.text
        # A secret of which only the beginning has come is in the part of an endless line that is held back.
        self._overlap = max(_OVERLAP, redactor.longest)
        self._room = most_bytes
        self._line = ""
        self._pending = bytearray()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._writing = asyncio.Lock()

    async def write(self, text: str) -> None:
        """Take a piece of output."""
        whole, newline, rest = (self._line + text).rpartition("\n")
        self._line = rest
        if newline:
            self._take(self._redact(whole) + "\n")
        if len(self._line) > _LONGEST_LINE + self._overlap:
            redacted = self._redact(self._line)
            self._take(redacted[: -self._overlap])
            self._line = redacted[-self._overlap :]
        if len(self._pending) > _UNSPOOLED_BYTES:
            await self.spool()

    async def spool(self, *, last: bool = False) -> None:
        """Bring what was taken to the disk; with `last` an unfinished line too."""
        if last and self._line:
            self._take(self._redact(self._line) + "\n")
            self._line = ""
        async with self._writing:
            data = bytes(self._pending)
            self._pending.clear()
            if not data:
                return
            try:
                self.length = await self._spool.append(data)
            except OSError as error:
                self._room = 0
                logger.warning("a job's log could not be kept", extra={"error": str(error)})

    async def read(self, offset: int) -> bytes:
        """The next bytes to upload."""
        return await self._spool.read(offset, _PIECE_BYTES)

    def tail(self) -> tuple[str, ...]:
        """The last lines."""
        unfinished = (self._redact(self._line),) if self._line else ()
        return (*self._tail, *unfinished)

    def _take(self, text: str) -> None:
        self._tail.extend(text.rstrip("\n").split("\n"))
        data = text.encode(errors="replace")
        if self._room > 0:
            self._pending += data if len(data) <= self._room else data[: self._room] + _CUT
            self._room -= len(data)
        self.news.set()


class LogUploader:
    """Brings the spooled log to the control plane, from wherever that stands.

    While somebody reads along, lines leave at once; else they are gathered for up to a second, so that hundreds of
    chatty builds that nobody watches cost the control plane little.
    """

    def __init__(self, control: ControlPlane, attempt: Attempt, log: JobLog, pacer: Pacer) -> None:
        self._control = control
        self._attempt = attempt
        self._log = log
        self._pacer = pacer
        self._followed: bool | None = None
        self._offset = 0
        self._refused = False

    async def run(self) -> None:
        """Upload what comes, until cancelled; ends early when the control plane takes no more."""
        try:
            while not self._refused:
                await self._log.news.wait()
                await self._send_all()
                await self._pacer.sleep(_PAUSES[self._followed])
        except Exception:
            logger.exception("a log's upload crashed", extra={"job_id": self._attempt.job_id})

    async def finish(self, seconds: float, *, stopped: bool = False) -> None:
        """Upload the rest, for at most so long; after an attempt that was stopped, say that this was all, because no
        report will. Never raises for what the control plane does."""
        await self._log.spool(last=True)
        try:
            async with self._pacer.limit(seconds):
                await self._send_all(last=stopped)
        except TimeoutError:
            logger.warning(
                "a job's log is not uploaded whole",
                extra={"job_id": self._attempt.job_id, "uploaded": self._offset, "length": self._log.length},
            )

    async def _send_all(self, *, last: bool = False) -> None:
        pauses = backoff(0.2, 5.0)
        self._log.news.clear()
        await self._log.spool()
        while not self._refused and (self._offset < self._log.length or last):
            data = await self._log.read(self._offset)
            if not data and (not last or self._offset < self._log.length):
                return
            ends = last and self._offset + len(data) >= self._log.length
            try:
                there = await self._control.upload(self._attempt, self._offset, data, last=ends)
                self._offset, self._followed = there.length, there.followed
                last = last and not ends
                pauses = backoff(0.2, 5.0)
            except LogGap as gap:
                self._offset = min(gap.length, self._log.length)
                await self._pacer.sleep(next(pauses))
            except (LogRefused, LeaseLost) as error:
                self._refused = True
                logger.warning("a job's log is not taken", extra={"job_id": self._attempt.job_id, "error": str(error)})
            except ControlPlaneDown:
                await self._pacer.sleep(next(pauses))
