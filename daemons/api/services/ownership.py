"""The one place that hands out apps and jobs: to their owner, and to nobody else but who acts for the owner."""

from daemons.api.domain.access import NotFound, Subject, owns
from daemons.api.domain.apps import App, number_of
from daemons.api.ports import AppStore, DeployPlane, PlaneNotFound
from protocol.jobs import JobView


class Ownership:
    """Finds what belongs to a subject. What does not is answered like what does not exist."""

    def __init__(self, apps: AppStore, plane: DeployPlane) -> None:
        self._apps = apps
        self._plane = plane

    async def app(self, subject: Subject, app_id: str) -> App:
        """The subject's app. Raises NotFound."""
        found = await self._found(app_id)
        if found is None or not owns(subject, found.user_id):
            raise NotFound(f"there is no app {app_id}")
        return found

    async def owner(self, app_id: str, named: str | None) -> Subject:
        """On whose behalf an operator acts: the app's owner, who must be the user that was named, if one was. Raises
        NotFound."""
        found = await self._found(app_id)
        if found is None or (named is not None and named != str(found.user_id)):
            raise NotFound(f"there is no app {app_id}{f' of user {named}' if named is not None else ''}")
        return Subject(found.user_id)

    async def job(self, subject: Subject, job_id: str) -> JobView:
        """The job, if its app is the subject's. Raises NotFound, PlaneError."""
        try:
            job = await self._plane.job(job_id)
            await self.app(subject, job.app_id)
        except (PlaneNotFound, NotFound):
            raise NotFound(f"there is no job {job_id}") from None
        return job

    async def _found(self, app_id: str) -> App | None:
        number = number_of(app_id)
        return await self._apps.app(number) if number is not None else None
