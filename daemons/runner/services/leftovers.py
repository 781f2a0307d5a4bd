"""Brings the logs of ended attempts to the control plane: what it did not take before, or this runner was killed over.

They stand on the disk, so that a slot need not wait for them. A log is removed when all of it was taken, or will never
be: the control plane says so, or it was kept for as long, or grew as large, as the settings allow.
"""

import logging
from enum import Enum
from typing import Final

from daemons.runner.domain.leftovers import Keeping, Leftover, given_up
from daemons.runner.ports import (
    ControlPlane,
    ControlPlaneDown,
    LeaseLost,
    LogGap,
    LogLater,
    LogRefused,
    Pacer,
    Spools,
)
from daemons.runner.services.joblog import PIECE_BYTES
from daemons.runner.services.pace import backoff

logger = logging.getLogger(__name__)

_LATER_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 60.0
_MOST_PAUSE_SECONDS: Final = 15.0


class Round(Enum):
    """What one look at the leftovers led to."""

    DONE = "done"
    LATER = "later"
    DOWN = "down"


class Leftovers:
    """`run` is its loop; `deliver` is for the beginning, before the next attempt can write, and for the end."""

    def __init__(self, spools: Spools, control: ControlPlane, pacer: Pacer, keeping: Keeping) -> None:
        self._spools = spools
        self._control = control
        self._pacer = pacer
        self._keeping = keeping

    async def run(self) -> None:
        """Deliver for ever."""
        pauses = backoff(1.0, _MOST_PAUSE_SECONDS)
        while True:
            self._spools.news.clear()
            result = await self.round()
            if result is Round.DOWN:
                # Not woken by further logs: only time can help.
                await self._pacer.sleep(next(pauses))
                continue
            pauses = backoff(1.0, _MOST_PAUSE_SECONDS)
            await self._pause(_LATER_SECONDS if result is Round.LATER else _IDLE_SECONDS)

    async def deliver(self, seconds: float) -> None:
        """Deliver what can be delivered in so many seconds; the rest waits on the disk."""
        try:
            async with self._pacer.limit(seconds):
                await self.round()
        except TimeoutError:
            logger.warning("logs wait on the disk", extra={"folder": self._spools.place})

    async def round(self) -> Round:
        """Look at each once, the oldest first."""
        result = Round.DONE
        for left in await self._spools.left():
            try:
                await self._deliver(left)
            except LogLater:
                result = Round.LATER
            except (LogRefused, LeaseLost) as error:
                await self._give_up(left, str(error))
            except ControlPlaneDown:
                result = Round.DOWN
                break
            except OSError as error:
                logger.warning("a job's log cannot be read", extra=_keys(left) | {"error": str(error)})
        for left in given_up(await self._spools.left(), self._keeping):
            await self._give_up(left, "nobody took it (RUNNER_LOG_KEPT_HOURS, RUNNER_LOG_KEPT_MB)")
        return result

    async def _pause(self, seconds: float) -> None:
        try:
            async with self._pacer.limit(seconds):
                await self._spools.news.wait()
        except TimeoutError:
            return

    async def _deliver(self, left: Leftover) -> None:
        """Raises ControlPlaneDown, LogLater, LogRefused, LeaseLost or OSError."""
        offset = await self._there(left)
        while True:
            data = await self._spools.read(left, offset, PIECE_BYTES)
            last = offset + len(data) >= left.length
            try:
                there = (await self._control.upload(left.attempt, offset, data, last=last, late=True)).length
            except LogGap as gap:
                there = gap.length
            if last and there >= left.length:
                break
            if there <= offset:
                raise ControlPlaneDown("the control plane does not say what it has of a log")
            offset = there
        await self._spools.remove(left)
        logger.info("the rest of a job's log was delivered", extra=_keys(left))

    async def _there(self, left: Leftover) -> int:
        """How many bytes of it the control plane has."""
        try:
            uploaded = await self._control.upload(left.attempt, left.length, b"", late=True)
        except LogGap as gap:
            return min(gap.length, left.length)
        return min(uploaded.length, left.length)

    async def _give_up(self, left: Leftover, why: str) -> None:
        logger.warning("a job's log is given up", extra=_keys(left) | {"bytes": left.length, "why": why})
        await self._spools.remove(left)


def _keys(left: Leftover) -> dict[str, object]:
    return {"job_id": left.attempt.job_id, "attempt": left.attempt.number}
