"""Statements of the claim: who is in the line, what is due, what runners hold."""

from collections.abc import Collection, Sequence

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate, Standing
from daemons.deploy.domain.matching import Holding
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

    async def due_jobs(self, user_id: str, now: int, skip: int, limit: int) -> Sequence[Candidate]:
        """A user's PENDING jobs that may start, lowest rank first."""
        rows = await self._session.rows("due_jobs", user_id=user_id, now=now, skip=skip, limit=limit)
        return [_candidate(row) for row in rows]

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
        created_at=row["create_time"],
        not_before=row["not_before"],
        requires=frozenset(filter(None, row["requires_csv"].split(","))),
        builds=bool(row["builds"]),
        built_by=row["built_by"],
        app_idle_at=row["last_active_at"],
        home=row["node_id"],
        settled=row["last_deployed_at"] is not None,
        target=None if row["target_node_id"] is None else int(row["target_node_id"]),
    )
