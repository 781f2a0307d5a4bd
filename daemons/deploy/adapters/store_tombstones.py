"""Statements about the end of a node."""

from collections.abc import Sequence

from daemons.deploy.adapters.store_operations import operation_of
from daemons.deploy.domain.nodes import Tombstone
from daemons.deploy.domain.operations import Operation
from daemons.kit.sql import Session


class TombstoneStatements:
    """The port `TombstoneRows`. `nodes_changed` is true once the transaction deleted a node."""

    nodes_changed = False

    def __init__(self, session: Session) -> None:
        self._session = session

    async def tombstone(self, name: str) -> Tombstone | None:
        """Who deleted the node of this name, unless it may come back."""
        row = await self._session.row("tombstone", name=name)
        return None if row is None else Tombstone(row["name"], row["node_id"], row["actor"], row["create_time"])

    async def insert_tombstone(self, tombstone: Tombstone) -> None:
        """Keep the node's agent out."""
        await self._session.change(
            "insert_tombstone",
            name=tombstone.name,
            node_id=tombstone.node_id,
            actor=tombstone.actor,
            create_time=tombstone.at,
        )

    async def delete_tombstone(self, name: str) -> bool:
        """Whether there was one."""
        return await self._session.change("delete_tombstone", name=name) > 0

    async def delete_node(self, node_id: int) -> bool:
        """Delete the node's row and its mention in the last known state of apps; whether there was one."""
        self.nodes_changed = True
        await self._session.change("forget_node_of_runs", node_id=node_id)
        return await self._session.change("delete_node", id=node_id) > 0

    async def operations_of_node(self, node_id: int, limit: int) -> Sequence[Operation]:
        """The node's first PENDING operations."""
        rows = await self._session.rows("operations_of_node", node_id=node_id, limit=limit)
        return [operation_of(row) for row in rows]
