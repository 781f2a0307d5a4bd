"""Rows of the claim: who is in the line, what is due, what runners hold."""

from collections.abc import Collection, Sequence
from typing import Protocol

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate, Standing
from daemons.deploy.domain.matching import Holding


class ClaimRows(Protocol):
    """Table `fun_ai_deploy_job` as the claim sees it: no cost grows with the table, and only `lock_due` locks."""

    async def standings(self, after: str, limit: int) -> Sequence[Standing]:
        """The next users that have PENDING jobs, by id."""
        ...

    async def oldest_standings(self, jobs: int) -> Sequence[Standing]:
        """The users of so many PENDING jobs of the lowest rank."""
        ...

    async def due_jobs(self, user_id: str, now: int, skip: int, limit: int) -> Sequence[Candidate]:
        """A user's PENDING jobs with `not_before` reached and no RUNNING job of the same app, lowest rank first."""
        ...

    async def lock_due(self, ids: Collection[str], now: int) -> Sequence[Job]:
        """Those of these jobs that are PENDING with `not_before` reached, locked, held rows skipped, in any order."""
        ...

    async def held_by(self, runner_ids: Collection[str]) -> Sequence[Holding]:
        """The RUNNING jobs of these runners."""
        ...
