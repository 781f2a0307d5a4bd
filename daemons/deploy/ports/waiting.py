"""Rows read to say why pending jobs wait."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.waiting import Past


class WaitingRows(Protocol):
    """Tables `fun_ai_deploy_job` and `fun_ai_deploy_app_run`."""

    async def pending_ends(self, limit: int) -> Sequence[Job]:
        """The oldest and the newest `limit` PENDING jobs, each once."""
        ...

    async def pasts_of(self, app_ids: Collection[str]) -> Mapping[str, Past]:
        """What those of these apps that had a job before did."""
        ...

    async def held_slots(self) -> Mapping[str, int]:
        """How many jobs each runner that has any carries out."""
        ...
