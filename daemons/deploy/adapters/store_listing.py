"""Statements of lists of any length."""

from collections.abc import Sequence

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.listing import Place, Wanted
from daemons.kit.sql import Session


class JobListStatements:
    """The port `JobListRows`: the narrowest filter chooses the index."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def jobs_after(self, place: Place, limit: int, wanted: Wanted) -> Sequence[Job]:
        """The wanted jobs that come after the place, newest created first."""
        query, values = "list_jobs", dict[str, str | None]()
        if wanted.app_id is not None:
            query, values = "list_jobs_of_app", {"app_id": wanted.app_id, "user_id": wanted.user_id}
        elif wanted.user_id is not None:
            query, values = "list_jobs_of_user", {"user_id": wanted.user_id}
        elif wanted.status is not None:
            query = "list_jobs_in_status"
        if query != "list_jobs":
            values["status"] = wanted.status
        rows = await self._session.rows(query, at=place.created_at, id=place.job_id, limit=limit, **values)
        return [job_of(row) for row in rows]
