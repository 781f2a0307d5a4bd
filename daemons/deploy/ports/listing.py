"""Rows read for lists of any length."""

from collections.abc import Sequence
from typing import Protocol

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.listing import Place, Wanted


class JobListRows(Protocol):
    """Table `fun_ai_deploy_job`."""

    async def jobs_after(self, place: Place, limit: int, wanted: Wanted) -> Sequence[Job]:
        """The wanted jobs that come after the place, newest created first. What is looked at is bounded by `limit`, or
        by the jobs of the one app or user."""
        ...
