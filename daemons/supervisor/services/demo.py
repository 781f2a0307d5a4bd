"""The demo app, brought up the way any user would: through the API and a push over SSH, never by a back door."""

import logging
from collections.abc import Callable
from typing import Final

from daemons.supervisor.ports import DemoApi, DemoRepository, Page, Ticker

logger = logging.getLogger(__name__)
_JOB_SECONDS: Final = 300.0
_PAGE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.25


class DemoFailed(Exception):
    """The demo app does not run; the message says at which step and why."""


class Demo:
    """Brings the demo app up once, and again only when its page does not answer."""

    def __init__(
        self,
        *,
        api: DemoApi,
        repository: DemoRepository,
        page: Page,
        ticker: Ticker,
        public_key: Callable[[], str],
    ) -> None:
        self._api = api
        self._repository = repository
        self._page = page
        self._ticker = ticker
        self._public_key = public_key

    async def bring_up(self) -> str:
        """The id of the running app. Raises DemoFailed."""
        app = await self._api.ensure_app()
        app_id = app.id
        if await self._page.answers(app_id):
            logger.info("the demo app %s answers", app_id)
            return app_id
        logger.info("pushing the demo app %s to its repository", app_id)
        await self._api.register_key(self._public_key())
        await self._repository.push(app)
        job_id = await self._api.deploy(app_id)
        logger.info("job %s builds and deploys the demo app %s", job_id, app_id)
        await self._follow(job_id)
        await self._until_served(app_id)
        logger.info("the demo app %s answers", app_id)
        return app_id

    async def _follow(self, job_id: str) -> None:
        deadline, shown = self._ticker.seconds() + _JOB_SECONDS, ""
        while self._ticker.seconds() < deadline:
            status, problem = await self._api.outcome(job_id)
            if status == "SUCCEEDED":
                return
            if status in ("FAILED", "CANCELLED"):
                raise DemoFailed(f"job {job_id} of the demo app is {status}: {problem or 'see its log'}")
            now = f"{status}: {problem}" if problem else status
            if now != shown:
                logger.info("job %s is %s", job_id, now)
                shown = now
            await self._ticker.pause(_PAUSE_SECONDS)
        raise DemoFailed(f"job {job_id} of the demo app did not end within {_JOB_SECONDS:g} s")

    async def _until_served(self, app_id: str) -> None:
        deadline = self._ticker.seconds() + _PAGE_SECONDS
        while not await self._page.answers(app_id):
            if self._ticker.seconds() > deadline:
                raise DemoFailed(f"the job succeeded, but the gateway does not serve /runtime/{app_id}/")
            await self._ticker.pause(_PAUSE_SECONDS)
