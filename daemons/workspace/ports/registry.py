"""The API entry as a node reports to it, and the machine that it reports of."""

from typing import Protocol

from protocol.workspace_nodes import WorkspaceNodeHeartbeat


class RegistryError(Exception):
    """The API was not told."""


class Registry(Protocol):
    """The API's registry of workspace nodes."""

    async def heartbeat(self, beat: WorkspaceNodeHeartbeat) -> None:
        """Raises RegistryError."""
        ...


class Machine(Protocol):
    """What the node has of its machine."""

    @property
    def quota(self) -> str:
        """How users' disks are bounded."""
        ...

    async def disk(self) -> tuple[int, int] | None:
        """Bytes that are free and that there are where users' files lie; None when that cannot be said."""
        ...
