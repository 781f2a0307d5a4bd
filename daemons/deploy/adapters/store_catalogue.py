"""Statements about apps as wholes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from daemons.deploy.adapters.store_nodes import app_run_of
from daemons.deploy.adapters.store_operations import operation_of
from daemons.deploy.domain.nodes import AppRun
from daemons.deploy.domain.operations import Operation
from daemons.deploy.ports import AppFilter
from daemons.kit.sql import Session

_MOST_OF_A_USER: Final = 1000


class CatalogueStatements:
    """The port `CatalogueRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def app_ids(self, wanted: AppFilter, after: str, limit: int) -> Sequence[str]:
        """Ids above `after` of apps that pass the filter, in order."""
        if wanted.user_id is None:
            return await self._of_node(wanted.node_id, after, limit)
        most = _MOST_OF_A_USER if wanted.node_id is not None else limit
        rows = await self._session.rows("app_ids_of_user", user_id=wanted.user_id, after=after, limit=most)
        found = [str(row["app_id"]) for row in rows]
        if wanted.node_id is None or not found:
            return found
        there = await self._session.rows("placements_of", app_ids=found)
        return sorted(row["app_id"] for row in there if row["node_id"] == wanted.node_id)[:limit]

    async def app_runs_of(self, app_ids: Collection[str]) -> Mapping[str, AppRun]:
        """The last known state of these apps, by app id."""
        if not app_ids:
            return {}
        rows = await self._session.rows("app_runs_of", app_ids=list(app_ids))
        return {run.app_id: run for run in map(app_run_of, rows)}

    async def owners_of(self, app_ids: Collection[str]) -> Mapping[str, str]:
        """The users that these apps' jobs name, by app id."""
        if not app_ids:
            return {}
        rows = await self._session.rows("owners_of", app_ids=list(app_ids))
        return {str(row["app_id"]): str(row["user_id"]) for row in rows}

    async def pending_operations_of(self, app_ids: Collection[str]) -> Sequence[Operation]:
        """What is still to be done about these apps, oldest first."""
        if not app_ids:
            return ()
        rows = await self._session.rows("pending_operations_of", app_ids=list(app_ids))
        return [operation_of(row) for row in rows]

    async def _of_node(self, node_id: int | None, after: str, limit: int) -> Sequence[str]:
        if node_id is None:
            rows = await self._session.rows("app_ids", after=after, limit=limit)
        else:
            rows = await self._session.rows("app_ids_of_node", node_id=node_id, after=after, limit=limit)
        return [str(row["app_id"]) for row in rows]
