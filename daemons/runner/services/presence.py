"""How this runner's process is: what it works on, how full its disks are, and whether it takes more work.

It is told to the control plane every few seconds and at once when it changes, so that operators, and jobs that wait,
can say why a runner that is there claims nothing.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from daemons.runner.domain.watermarks import Disk, Watermarks, too_full
from daemons.runner.ports import ControlPlaneDown, Disks, Front, Pacer
from daemons.runner.services.stages import StageBook
from protocol.errors import RunnerPause
from protocol.nodes import PausedBecause, RunnerDisk, RunnerVitals, RunnerWork

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
_TELL_SECONDS: Final = 10.0
#: After the control plane said that it does not know what it is told; it may be replaced by one that does.
_UNKNOWN_SECONDS: Final = 300.0
_MOST_WORDS: Final = 256


class Roster:
    """The attempts that are carried out now."""

    def __init__(self) -> None:
        self._stages: dict[str, StageBook] = {}

    @contextmanager
    def entered(self, job_id: str, stages: StageBook) -> Iterator[None]:
        """The attempt is at work for the length of the block."""
        self._stages[job_id] = stages
        try:
            yield
        finally:
            self._stages.pop(job_id, None)

    def work(self) -> tuple[RunnerWork, ...]:
        """Each with the stage it is in."""
        return tuple(
            RunnerWork(job_id=job_id, phase=book.told[-1].phase.value if book.told else None)
            for job_id, book in self._stages.items()
        )


class Presence:
    """Looks at the disks and tells."""

    def __init__(
        self,
        front: Front,
        disks: Disks,
        marks: Watermarks,
        pacer: Pacer,
        roster: Roster,
        *,
        instance: str,
    ) -> None:
        self._front = front
        self._disks = disks
        self._marks = marks
        self._pacer = pacer
        self._roster = roster
        self._instance = instance
        self._stopping = False
        self._began = pacer.now()
        self._seen: tuple[Disk, ...] = ()
        self._told: PausedBecause | None = None
        self._next_telling = 0.0
        self._full: str | None = None
        self._news = asyncio.Event()

    @property
    def full(self) -> str | None:
        """Why no job is to be claimed, or None."""
        return self._full

    def stop(self) -> None:
        """The runner was told to stop."""
        self._stopping = True
        self._news.set()

    async def look(self) -> None:
        """Look at the disks."""
        self._seen = await self._disks.look()
        found = too_full(self._seen, self._marks, paused=self._full is not None)
        if (found is None) != (self._full is None):
            if found is None:
                logger.info("jobs are claimed again: there is room on the disks")
            else:
                logger.warning("no job is claimed: a disk gets full", extra={"why": found})
        self._full = found

    async def run(self) -> None:
        """Look and tell for ever."""
        while True:
            await self.look()
            await self._tell_when_due()
            with suppress(TimeoutError):
                async with self._pacer.limit(_LOOK_SECONDS):
                    await self._news.wait()
            self._news.clear()

    def vitals(self) -> RunnerVitals:
        """How it is now."""
        disks = (RunnerDisk(place=disk.place, free_bytes=disk.free, total_bytes=disk.total) for disk in self._seen)
        return RunnerVitals(
            instance_id=self._instance,
            up_seconds=max(0, int(self._pacer.now() - self._began)),
            pause=self._pause(),
            disks=tuple(disks),
            work=self._roster.work(),
        )

    def _pause(self) -> PausedBecause | None:
        if self._stopping:
            words = "it was told to stop, and finishes what it holds"
            return PausedBecause(reason=RunnerPause.STOPPING.value, message=words)
        return PausedBecause(reason=RunnerPause.DISK.value, message=self._full[:_MOST_WORDS]) if self._full else None

    async def _tell_when_due(self) -> None:
        vitals = self.vitals()
        changed = (vitals.pause and vitals.pause.reason) != (self._told and self._told.reason)
        if self._pacer.now() < self._next_telling and not changed:
            return
        try:
            async with self._pacer.limit(_TELL_SECONDS):
                known = await self._front.tell(vitals)
        except (ControlPlaneDown, TimeoutError) as error:
            # The slots tell of outages.
            logger.debug("how this runner is could not be told", extra={"error": str(error)})
            return
        self._told = vitals.pause
        self._next_telling = self._pacer.now() + (_TELL_SECONDS if known else _UNKNOWN_SECONDS)
