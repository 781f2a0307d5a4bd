"""Results of jobs as the control plane tells them, so that nobody has to ask: written down, and places given back."""

import asyncio
import logging
from datetime import datetime
from typing import Final

from daemons.api.domain.access import number_of
from daemons.api.domain.apps import App, Result
from daemons.api.ports import AppStore, Learned, PlaneError, ResultStore
from daemons.api.services.places import Places
from protocol.jobs import JobStatus, JobType, JobView
from protocol.webhooks import JobEnded, ResultTaken

#: Less than the control plane waits for an answer; a place that is not given back now is when somebody needs one.
_PLACES_SECONDS: Final = 3.0
#: Longer than the control plane sends one again of its own accord.
_KEPT_MS: Final = 3 * 24 * 3600 * 1000

logger = logging.getLogger(__name__)


class Results:
    """Takes results."""

    def __init__(self, results: ResultStore, apps: AppStore, places: Places) -> None:
        self._results = results
        self._apps = apps
        self._places = places

    async def take(self, told: JobEnded) -> ResultTaken:
        """Take one, however often and in whatever order they come. Raises DatabaseUnavailable: then it is to be sent
        again."""
        job = told.job
        app_id = number_of(job.app_id)
        if app_id is None or not job.status.terminal or _of_no_account(job):
            return ResultTaken(id=told.id, newest=False)
        learned = await self._results.learn(told.id, app_id, _result(told))
        about = {"job_id": job.id, "app_id": app_id, "status": job.status.value, "became": learned.value}
        logger.info("was told how a job ended", extra=about)
        app = await self._apps.app(app_id) if learned is Learned.NEWEST else None
        if app is not None and job.status is JobStatus.SUCCEEDED:
            await self._places.count(app)
        elif app is not None:
            await self._free_place(app)
        return ResultTaken(id=told.id, repeated=learned is Learned.REPEATED, newest=learned is Learned.NEWEST)

    async def tidy(self) -> None:
        """Forget which deliveries were taken days ago."""
        await self._results.forget(_KEPT_MS)

    async def _free_place(self, app: App) -> None:
        try:
            async with asyncio.timeout(_PLACES_SECONDS):
                await self._places.reconsider(app)
        except (PlaneError, TimeoutError) as error:
            logger.info("a place is looked at later", extra={"app_id": app.id, "error": str(error)})


def _of_no_account(job: JobView) -> bool:
    """A move that did not succeed leaves its app as it was."""
    return job.type is JobType.MIGRATE_APP and job.status is not JobStatus.SUCCEEDED


def _result(told: JobEnded) -> Result:
    job = told.job
    return Result(
        job_id=job.id,
        status=job.status,
        created_at=_milliseconds(job.created_at),
        ended_at=_milliseconds(told.at),
        error=job.error_message,
        url=job.deploy_url,
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
