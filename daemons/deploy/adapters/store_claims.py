"""Statements of the claim: who is in the line, what is due, what runners hold."""

from collections.abc import Collection, Mapping, Sequence

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate, Standing, created
from daemons.deploy.domain.matching import Holding
from daemons.kit.database import Values
from daemons.kit.sql import Row, Session


class ClaimStatements:
    """The port `ClaimRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def standings(self, after: str, limit: int) -> Sequence[Standing]:
        """The next users with PENDING jobs, by id."""
        return [_standing(row) for row in await self._session.rows("standings", after=after, limit=limit)]

    async def oldest_standings(self, jobs: int) -> Sequence[Standing]:
        """The users of the PENDING jobs of the lowest rank."""
        return [_standing(row) for row in await self._session.rows("oldest_standings", limit=jobs)]

    async def due_jobs(self, user_ids: Collection[str], now: int, skip: int, limit: int) -> Sequence[Candidate]:
        """Of each of these users up to `limit` PENDING jobs that are due, lowest rank first."""
        if not user_ids:
            return []
        pages: list[Values] = [{"user_id": user_id, "now": now, "skip": skip, "limit": limit} for user_id in user_ids]
        ids = [str(row["id"]) for row in (await self._session.execute_each("due_ids", pages)).rows]
        if not ids:
            return []
        found = [_candidate(row) for row in await self._session.rows("due_jobs", ids=ids)]
        return sorted(found, key=lambda job: (job.rank, job.id))

    async def lock_free_apps(self, app_ids: Collection[str]) -> Mapping[str, int]:
        """The fences of those of these apps whose rows nobody else holds, locked."""
        if not app_ids:
            return {}
        rows = await self._session.rows("lock_free_apps", app_ids=sorted(app_ids))
        return {str(row["app_id"]): int(row["fence"]) for row in rows}

    async def raise_fences(self, app_ids: Collection[str]) -> None:
        """Raise each of these fences by one."""
        if app_ids:
            await self._session.change("raise_fences", app_ids=sorted(app_ids))

    async def lock_due(self, ids: Collection[str], now: int) -> Sequence[Job]:
        """Those of these jobs that are PENDING and due, locked, held rows skipped."""
        if not ids:
            return []
        return [job_of(row) for row in await self._session.rows("lock_due_jobs", ids=list(ids), now=now)]

    async def held_by(self, runner_ids: Collection[str]) -> Sequence[Holding]:
        """The RUNNING jobs of these runners."""
        if not runner_ids:
            return []
        rows = await self._session.rows("held_by", runner_ids=sorted(runner_ids))
        return [Holding(row["id"], row["runner_id"], row["claim_key"]) for row in rows]


def _standing(row: Row) -> Standing:
    return Standing(row["user_id"], row["priority"], row["queue_rank"], row["running"], row["served_at"])


def _candidate(row: Row) -> Candidate:
    return Candidate(
        id=row["id"],
        app_id=row["app_id"],
        user_id=row["user_id"],
        priority=row["priority"],
        # Of before there were ranks it is 0.
        created_at=created(row["priority"], row["queue_rank"]) if row["queue_rank"] else row["create_time"],
        not_before=row["not_before"],
        requires=frozenset(filter(None, row["requires_csv"].split(","))),
        builds=bool(row["builds"]),
        blocked=bool(row["blocked"]),
        built_by=row["built_by"],
        app_idle_at=row["last_active_at"],
        home=row["node_id"],
        settled=row["last_deployed_at"] is not None,
        target=None if row["target_node_id"] is None else int(row["target_node_id"]),
    )
