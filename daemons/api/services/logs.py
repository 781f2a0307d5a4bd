"""What a user's jobs and apps write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemons.api.domain.access import Subject
from daemons.api.ports import DeployPlane
from daemons.api.services.ownership import Ownership
from protocol.running import AppLogQuery


class Logs:
    """Finds out whose it is, and reads it from the control plane. Entering raises NotFound, PlaneError; reading raises
    PlaneUnreachable."""

    def __init__(self, plane: DeployPlane, ownership: Ownership) -> None:
        self._plane = plane
        self._ownership = ownership

    @asynccontextmanager
    async def of_job(
        self, subject: Subject, job_id: str, offset: int, *, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The job's log from `offset`; with `follow`, until the job ended."""
        job = await self._ownership.job(subject, job_id)
        async with self._plane.job_log(job.id, offset, follow=follow) as pieces:
            yield pieces

    @asynccontextmanager
    async def of_app(self, subject: Subject, app_id: str, asked: AppLogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """The app's output as server-sent events."""
        app = await self._ownership.app(subject, app_id)
        async with self._plane.app_log(app.id, asked) as pieces:
            yield pieces
