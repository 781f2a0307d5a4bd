"""One claimed job, from its folder to its one report.

The work, the lease and the log's upload run side by side in one task group. When the lease says that the job is no
longer ours, the work is cancelled where it stands, nothing further starts and nothing is reported. Otherwise exactly
one terminal report leaves, and it is repeated, never changed, until it is answered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from daemons.kit.logs import Redactor
from daemons.kit.tasks import shielded
from daemons.runner.domain.failures import WorkFailed, explain
from daemons.runner.domain.plan import Attempt, RegistryPolicy, attempt_of, plan
from daemons.runner.ports import (
    Aside,
    ControlPlane,
    ControlPlaneDown,
    LeaseLost,
    Leashes,
    NewSpools,
    NoFolder,
    OpenSpool,
    Outcome,
    WorkFolder,
    Workplace,
)
from daemons.runner.services.joblog import MOST_BYTES, JobLog, LogUploader
from daemons.runner.services.lease import LeaseKeeper
from daemons.runner.services.pace import backoff
from daemons.runner.services.presence import Roster
from daemons.runner.services.stages import StageBook
from daemons.runner.services.steps import Desk, Steps, Tools
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, JobStatus

logger = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 5.0
_LAST_WRITE_SECONDS: Final = 5.0
_LAST_REPORT_SECONDS: Final = 2.0
#: For the rest of the log, and again for the return itself: who stops a runner does not wait for long.
_RETURN_SECONDS: Final = 2.0
_MOST_PAUSE_SECONDS: Final = 10.0
_FOLDER_ADVICE: Final = "Check that RUNNER_WORKDIR exists, is writable and has free space, then deploy again."
ABANDONED: Final = "abandoned"


@dataclass(frozen=True, slots=True)
class Holding:
    """How leases are held: `control` is for what is done `aside`, where no work can hold it up."""

    control: ControlPlane
    aside: Aside
    leashes: Leashes
    roster: Roster


class Executes(Protocol):
    """What the worker needs of this module."""

    async def run(self, job: ClaimedJob) -> None:
        """Carry out a job; never raises for what the job does."""
        ...


class Executor:
    """Carries out jobs, any number at a time."""

    def __init__(
        self,
        control: ControlPlane,
        tools: Tools,
        workplace: Workplace,
        registry: RegistryPolicy,
        *,
        spools: NewSpools,
        log_bytes: int = MOST_BYTES,
        lease_seconds: float,
        redactor: Callable[[tuple[str, ...]], Redactor],
        holding: Holding,
    ) -> None:
        self._control = control
        self._tools = tools
        self._workplace = workplace
        self._registry = registry
        self._spools = spools
        self._log_bytes = log_bytes
        self._lease_seconds = lease_seconds
        self._redactor = redactor
        self._holding = holding

    async def run(self, job: ClaimedJob) -> None:
        """Carry out a job and report it once."""
        try:
            attempt = attempt_of(job, self._lease_seconds)
        except ValueError as error:
            logger.error("a job cannot be carried out", extra={"error": str(error)})  # noqa: TRY400 - no traceback
            return
        keys = {"job_id": job.id, "app_id": job.app_id, "attempt": attempt.number}
        logger.info("a job was claimed", extra=keys)
        result = ABANDONED
        try:
            result = await self._in_folder(job, attempt)
        finally:
            self._tools.meter.finished(result)
            logger.info("a job ended here", extra=keys | {"result": result})

    async def _in_folder(self, job: ClaimedJob, attempt: Attempt) -> str:
        try:
            async with (
                self._spools.opened(attempt) as spool,
                self._workplace.folder(attempt.folder_name) as folder,
                AsyncExitStack() as afterwards,
            ):
                return await self._attempt(job, attempt, _Places(folder, spool), afterwards)
        except NoFolder as error:
            failure = WorkFailed(JobReason.CLONE_FAILED, str(error), advice=_FOLDER_ADVICE)
            outcome = Outcome(JobStatus.FAILED, failure.reason, explain(failure, ()), log_length=0)
            return outcome.status.value if await self._report(attempt, outcome) else ABANDONED

    async def _attempt(self, job: ClaimedJob, attempt: Attempt, places: "_Places", afterwards: AsyncExitStack) -> str:
        redactor = self._redactor(_secrets(job, attempt))
        log = JobLog(places.spool, redactor, self._log_bytes)
        uploader = LogUploader(self._control, attempt, log, self._tools.pacer)
        stages = StageBook(self._tools.pacer)
        held = self._holding
        keeper = LeaseKeeper(held.control, attempt, self._tools.pacer, stages)
        desk = Desk(places.folder, log, lambda phase: held.aside.run(lambda: keeper.enter(phase)), stages)
        try:
            async with held.leashes.held(attempt.folder_name) as leash:
                with held.roster.entered(attempt.job_id, stages):
                    outcome = await _beside_the_lease(
                        attempt,
                        keeper,
                        lambda: held.aside.run(lambda: keeper.keep(leash)),
                        uploader,
                        lambda: self._work(job, desk, log, redactor, afterwards),
                    )
            if outcome is None:
                await log.write("[stopped] the job was cancelled or is no longer this runner's\n")
        except asyncio.CancelledError:
            places.spool.delivered = await self._hand_back(attempt, log, uploader, stages)
            raise
        finally:
            await shielded(log.end(), seconds=_LAST_WRITE_SECONDS)
        if outcome is None:
            return ABANDONED
        # The lease is no longer renewed here; the rest of it must suffice for the last bytes and the report.
        patience = min(_FLUSH_SECONDS, attempt.lease_seconds / 6)
        outcome = replace(outcome, log_length=log.length, log_dropped=log.dropped, stages=stages.told)

        async def delivered() -> bool:
            await uploader.finish(patience)
            return await self._report(attempt, outcome)

        if not await shielded(delivered(), seconds=patience + _LAST_REPORT_SECONDS):
            return ABANDONED
        places.spool.delivered = uploader.whole
        return outcome.status.value

    async def _work(
        self, job: ClaimedJob, desk: Desk, log: JobLog, redactor: Redactor, afterwards: AsyncExitStack
    ) -> Outcome:
        try:
            steps = Steps(self._tools, plan(job, self._registry), desk)
            afterwards.push_async_callback(steps.tidy)
            return await steps.run()
        except WorkFailed as failure:
            message = redactor.text(explain(failure, log.tail()))
            await log.write(f"[failed] {failure.reason.value}: {redactor.text(failure.text)}\n")
            return Outcome(JobStatus.FAILED, failure.reason, message)

    async def _hand_back(self, attempt: Attempt, log: JobLog, uploader: LogUploader, stages: StageBook) -> bool:
        """The runner is being stopped, and the work has ended: let another one have the job. Whether that was done, and
        all of the log is there; else what is missing of it is brought later."""
        await log.write("[stopped] the runner was stopped and hands the job back\n")
        await log.end()
        await uploader.finish(_RETURN_SECONDS)
        keys = {"job_id": attempt.job_id}
        try:
            async with self._tools.pacer.limit(_RETURN_SECONDS):
                status = await self._hand_back_until_answered(attempt, log, stages)
        except (LeaseLost, TimeoutError) as error:
            logger.warning("a job was not handed back; its lease will expire", extra=keys | {"error": str(error)})
            return False
        logger.info("a job was handed back", extra=keys | {"status": status.value})
        return uploader.whole and not status.terminal

    async def _hand_back_until_answered(self, attempt: Attempt, log: JobLog, stages: StageBook) -> JobStatus:
        pauses = backoff(0.2, 1.0)
        while True:
            try:
                return await self._control.hand_back(attempt, log.length, stages.told)
            except ControlPlaneDown as error:
                logger.info("a return was not answered", extra={"job_id": attempt.job_id, "error": str(error)})
                await self._tools.pacer.sleep(next(pauses))

    async def _report(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether the control plane took the report; false when the attempt turned out not to be ours any more."""
        pauses = backoff(0.5, _MOST_PAUSE_SECONDS)
        while True:
            try:
                await self._control.report(attempt, outcome)
            except LeaseLost as error:
                logger.warning("a report was not wanted", extra={"job_id": attempt.job_id, "error": str(error)})
                return False
            except ControlPlaneDown as error:
                logger.warning("a report was not answered", extra={"job_id": attempt.job_id, "error": str(error)})
                await self._tools.pacer.sleep(next(pauses))
            else:
                return True


@dataclass(frozen=True, slots=True)
class _Places:
    folder: WorkFolder
    spool: OpenSpool


async def _beside_the_lease(
    attempt: Attempt,
    keeper: LeaseKeeper,
    keep: Callable[[], Coroutine[Any, Any, None]],
    uploader: LogUploader,
    work: Callable[[], Awaitable[Outcome]],
) -> Outcome | None:
    """The work's outcome, or None when the work was stopped because the job is no longer ours."""
    outcome: Outcome | None = None
    try:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(keep()), group.create_task(uploader.run())]
            outcome = await work()
            if keeper.lost is not None:
                # What looks like a failure of the work may be that it was ended.
                raise keeper.lost
            for task in beside:
                task.cancel()
    except* LeaseLost as lost:
        reasons = "; ".join(str(error) for error in lost.exceptions)
        logger.warning("a job's work was stopped", extra={"job_id": attempt.job_id, "why": reasons})
        outcome = None
    return outcome


def _secrets(job: ClaimedJob, attempt: Attempt) -> tuple[str, ...]:
    """What the job's log must not show: the lease's token and the app's own secrets."""
    config = job.payload.config
    values = config.secrets.values() if config is not None else ()
    return tuple(value for value in (attempt.lease_token, *values) if value)
