"""The slots: each claims, carries out, and claims again, until the daemon is asked to stop.

Slots share nothing but the view of whether the control plane answers, so that an outage is logged once and not once
for each slot and try.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from daemons.runner.ports import ControlPlane, ControlPlaneDown, Meter, Pacer
from daemons.runner.services.execute import Executes
from daemons.runner.services.pace import backoff
from protocol.jobs import ClaimedJob

logger = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 20.0
_MOST_PAUSE_SECONDS: Final = 30.0


class Worker:
    """Fills its slots with jobs."""

    def __init__(
        self,
        control: ControlPlane,
        executor: Executes,
        pacer: Pacer,
        meter: Meter,
        *,
        slots: int,
        poll_seconds: float,
        full: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._control = control
        self._executor = executor
        self._pacer = pacer
        self._meter = meter
        self._slots = slots
        self._poll_seconds = poll_seconds
        self._full = full
        self._stopping = False
        self._idle: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._trouble: str | None = "the control plane was not asked yet"

    @property
    def busy(self) -> int:
        """How many slots hold a job."""
        return self._busy

    @property
    def stopping(self) -> bool:
        """Whether `drain` was called."""
        return self._stopping

    @property
    def trouble(self) -> str | None:
        """Why no job can be claimed, or None."""
        return self._trouble

    async def run(self) -> None:
        """Work until `drain` was called and every running job ended."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._slots + 1):
                group.create_task(self._slot(), name=f"slot {number}")

    def drain(self) -> None:
        """Claim no more: idle slots end now, busy ones after their job."""
        self._stopping = True
        for task in tuple(self._idle):
            task.cancel()

    async def _slot(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of a task group
        pauses = backoff(self._poll_seconds, _MOST_PAUSE_SECONDS)
        while not self._stopping:
            self._idle.add(task)
            try:
                if self._full() is not None:
                    await self._pacer.sleep(self._poll_seconds)
                    continue
                job = await self._claim()
                self._note(None)
                pauses = backoff(self._poll_seconds, _MOST_PAUSE_SECONDS)
            except ControlPlaneDown as error:
                job = None
                self._note(str(error))
                await self._pacer.sleep(next(pauses))
            finally:
                self._idle.discard(task)
            if job is not None:
                await self._carry_out(job)

    async def _claim(self) -> ClaimedJob | None:
        if self._trouble is not None:
            # Not parked: only an answer tells that the trouble is over.
            return await self._control.claim(0)
        started = self._pacer.now()
        job = await self._control.claim(_WAIT_SECONDS)
        early = self._poll_seconds - (self._pacer.now() - started)
        if job is None and early > 0:
            # A control plane that does not park claims answers at once and would be asked without pause.
            await self._pacer.sleep(early)
        return job

    async def _carry_out(self, job: ClaimedJob) -> None:
        self._count(+1)
        try:
            await self._executor.run(job)
        except Exception:
            logger.exception("a job crashed in this runner; its lease will expire", extra={"job_id": job.id})
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._busy += change
        self._meter.busy(self._busy)

    def _note(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is None:
            logger.info("the control plane answers")
        else:
            logger.warning("no job can be claimed; trying again", extra={"why": trouble})
