"""Rows about apps as wholes, read a page at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.deploy.domain.nodes import AppRun
from daemons.deploy.domain.operations import Operation


@dataclass(frozen=True, slots=True)
class AppFilter:
    """Which apps to list; None does not ask."""

    user_id: str | None = None
    node_id: int | None = None


class CatalogueRows(Protocol):
    """Over the tables of placements, runs, jobs and operations."""

    async def app_ids(self, wanted: AppFilter, after: str, limit: int) -> Sequence[str]:
        """Ids above `after` of apps that pass the filter, in order; with both filters, those of the user on the
        node."""
        ...

    async def app_runs_of(self, app_ids: Collection[str]) -> Mapping[str, AppRun]:
        """The last known state of these apps, by app id."""
        ...

    async def owners_of(self, app_ids: Collection[str]) -> Mapping[str, str]:
        """The users that these apps' jobs name, by app id."""
        ...

    async def pending_operations_of(self, app_ids: Collection[str]) -> Sequence[Operation]:
        """What is still to be done about these apps, oldest first."""
        ...
