"""Statements read to say why pending jobs wait."""

from collections.abc import Collection, Sequence

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.domain.jobs import Job
from daemons.kit.sql import Session


class WaitingStatements:
    """The port `WaitingRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def pending_ends(self, limit: int) -> Sequence[Job]:
        """The oldest and the newest `limit` PENDING jobs, each once."""
        oldest = [job_of(row) for row in await self._session.rows("oldest_pending", limit=limit)]
        if len(oldest) < limit:
            return oldest
        newest = [job_of(row) for row in await self._session.rows("newest_pending", limit=limit)]
        return list({job.id: job for job in (*oldest, *newest)}.values())

    async def settled(self, app_ids: Collection[str]) -> frozenset[str]:
        """Which of these apps came up on a node once."""
        if not app_ids:
            return frozenset()
        rows = await self._session.rows("settled_apps", app_ids=list(app_ids))
        return frozenset(str(row["app_id"]) for row in rows)
