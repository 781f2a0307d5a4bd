"""Rows about the end of a node."""

from collections.abc import Sequence
from typing import Protocol

from daemons.deploy.domain.nodes import Tombstone
from daemons.deploy.domain.operations import Operation


class TombstoneRows(Protocol):
    """Table `fun_ai_deploy_node_tombstone`, and what goes with a node."""

    async def tombstone(self, name: str) -> Tombstone | None:
        """Who deleted the node of this name, unless it may come back."""
        ...

    async def insert_tombstone(self, tombstone: Tombstone) -> None:
        """Keep the node's agent out."""
        ...

    async def delete_tombstone(self, name: str) -> bool:
        """Whether there was one."""
        ...

    async def delete_node(self, node_id: int) -> bool:
        """Delete the node's row and its mention in the last known state of apps; whether there was one."""
        ...

    async def operations_of_node(self, node_id: int, limit: int) -> Sequence[Operation]:
        """The node's first PENDING operations."""
        ...
