"""Statements read to say why pending jobs wait."""

from collections.abc import Collection, Mapping, Sequence

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.waiting import Past
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

    async def pasts_of(self, app_ids: Collection[str]) -> Mapping[str, Past]:
        """What those of these apps that had a job before did."""
        if not app_ids:
            return {}
        rows = await self._session.rows("pasts_of", app_ids=list(app_ids))
        return {
            row["app_id"]: Past(row["built_by"], row["last_active_at"], row["last_deployed_at"] is not None)
            for row in rows
        }

    async def held_slots(self) -> Mapping[str, int]:
        """How many jobs each runner that has any carries out."""
        return {row["runner_id"]: int(row["jobs"]) for row in await self._session.rows("held_slots")}
