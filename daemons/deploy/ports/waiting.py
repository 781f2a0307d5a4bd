"""Rows read to say why pending jobs wait."""

from collections.abc import Collection, Sequence
from typing import Protocol

from daemons.deploy.domain.jobs import Job


class WaitingRows(Protocol):
    """Tables `fun_ai_deploy_job` and `fun_ai_deploy_app_run`."""

    async def pending_ends(self, limit: int) -> Sequence[Job]:
        """The oldest and the newest `limit` PENDING jobs, each once."""
        ...

    async def settled(self, app_ids: Collection[str]) -> frozenset[str]:
        """Which of these apps came up on a node once."""
        ...
