"""Rows of the claim: who is in the line, what is due, what runners hold."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate, Standing
from daemons.deploy.domain.matching import Holding


class ClaimRows(Protocol):
    """Table `fun_ai_deploy_job` as the claim sees it: no cost grows with the table. Only `lock_free_apps` and
    `lock_due` lock."""

    async def standings(self, after: str, limit: int) -> Sequence[Standing]:
        """The next users that have PENDING jobs, by id."""
        ...

    async def oldest_standings(self, jobs: int) -> Sequence[Standing]:
        """The users of so many PENDING jobs of the lowest rank."""
        ...

    async def due_jobs(self, user_ids: Collection[str], now: int, skip: int, limit: int) -> Sequence[Candidate]:
        """Of each of these users up to `limit` PENDING jobs with `not_before` reached, without the first `skip`; each
        user's lowest rank first. Those whose app has a RUNNING job are among them, `blocked`."""
        ...

    async def lock_free_apps(self, app_ids: Collection[str]) -> Mapping[str, int]:
        """The fences of those of these apps whose rows nobody else holds, locked. Who locks jobs of an app and its row
        takes the row first."""
        ...

    async def raise_fences(self, app_ids: Collection[str]) -> None:
        """Raise each of these fences by one; the caller holds the apps' rows."""
        ...

    async def lock_due(self, ids: Collection[str], now: int) -> Sequence[Job]:
        """Those of these jobs that are still due, locked, held rows skipped, in any order."""
        ...

    async def held_by(self, runner_ids: Collection[str]) -> Sequence[Holding]:
        """The RUNNING jobs of these runners."""
        ...
