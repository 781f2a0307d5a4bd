"""Keeps one attempt's lease while its work is done, and says at once when the work must end.

The lease counts from the moment a renewal was sent, never from its answer, so that we give up before anybody else may
start: without a renewal for two thirds of the lease the work is ended from here, whatever the control plane thinks.
"""

import logging
from typing import Final

from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlane, ControlPlaneDown, LeaseLost, Leash, Pacer
from daemons.runner.services.pace import backoff
from daemons.runner.services.stages import StageBook
from protocol.jobs import JobPhase, JobStatus

logger = logging.getLogger(__name__)

_MOST_WAIT_SECONDS: Final = 25.0
_WAIT_SHARE: Final = 1 / 5
_PHASE_SECONDS: Final = 2.0
_EARLY_PAUSE_SECONDS: Final = 1.0


class LeaseKeeper:
    """The lease of one attempt, held since now."""

    def __init__(self, control: ControlPlane, attempt: Attempt, pacer: Pacer, stages: StageBook) -> None:
        self._control = control
        self._attempt = attempt
        self._pacer = pacer
        self._stages = stages
        self._patience = attempt.lease_seconds * 2 / 3
        # A parked renewal counts from when it was sent but is known only when it is answered, so at any moment up to
        # two waits have passed since the last one that counts: they and one retry must fit into the patience.
        self._wait = min(attempt.lease_seconds * _WAIT_SHARE, _MOST_WAIT_SECONDS)
        self._held_since = pacer.now()
        self._phase: JobPhase | None = None
        #: Why the work must end, from the moment it is known.
        self.lost: LeaseLost | None = None

    async def enter(self, phase: JobPhase) -> None:
        """Announce the next phase and ask leave for it. Raises LeaseLost; no answer is no refusal."""
        self._phase = phase
        try:
            async with self._pacer.limit(min(_PHASE_SECONDS, self._left())):
                await self._renew(0)
        except (ControlPlaneDown, TimeoutError) as error:
            logger.info(
                "a phase could not be announced",
                extra={"job_id": self._attempt.job_id, "phase": phase.value, "error": str(error)},
            )

    async def keep(self, leash: Leash) -> None:
        """Renew for ever. When the job left RUNNING, the lease was lost or could not be renewed, everything on the
        leash is ended, and LeaseLost raised."""
        try:
            await self._keep()
        except LeaseLost as error:
            # In this order: who sees the work fail must be able to know why.
            self.lost = error
            leash.cut()
            raise

    async def _keep(self) -> None:
        pauses = backoff(0.5, max(self._wait / 2, 0.5))
        while True:
            started = self._pacer.now()
            try:
                async with self._pacer.limit(self._left()):
                    await self._renew(self._wait)
            except (ControlPlaneDown, TimeoutError) as error:
                logger.warning(
                    "a lease could not be renewed", extra={"job_id": self._attempt.job_id, "error": str(error)}
                )
                await self._pacer.sleep(min(next(pauses), self._left()))
                continue
            pauses = backoff(0.5, max(self._wait / 2, 0.5))
            # Control planes that do not park renewals answer at once and would be asked without pause.
            early = self._wait - (self._pacer.now() - started)
            if early > 0:
                await self._pacer.sleep(min(early, _EARLY_PAUSE_SECONDS))

    async def _renew(self, wait_seconds: float) -> None:
        sent = self._pacer.now()
        status = await self._control.renew(self._attempt, self._phase, wait_seconds, self._stages.told)
        if status is not JobStatus.RUNNING:
            raise LeaseLost(f"the job is {status.value}")
        self._held_since = max(self._held_since, sent)

    def _left(self) -> float:
        left = self._held_since + self._patience - self._pacer.now()
        if left <= 0:
            raise LeaseLost(f"the lease could not be renewed for {self._patience:g} s")
        return left
