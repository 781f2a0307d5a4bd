"""Calls to a workspace node."""

from typing import Final

from protocol.client.transport import Transport
from protocol.workspaces import Heartbeat, WorkspaceView

_BASE: Final = "/api/fun-ai/workspace"
#: A container is pulled, made and started within it.
_START_SECONDS: Final = 300.0


class WorkspaceClient:
    """One user's workspace on a node, through a transport that signs (`protocol.client.signed`)."""

    def __init__(self, transport: Transport, user_id: str, epoch: int | None = None) -> None:
        self.transport = transport
        self._who: dict[str, str | int | None] = {"userId": user_id, "epoch": epoch}

    async def ensure(self) -> WorkspaceView:
        """The container runs. Raises ClientError."""
        path = f"{_BASE}/container/ensure"
        return await self.transport.call("POST", path, WorkspaceView, query=self._who, seconds=_START_SECONDS)

    async def status(self) -> WorkspaceView:
        """As it is; nothing is started. Raises ClientError."""
        return await self.transport.call("GET", f"{_BASE}/container/status", WorkspaceView, query=self._who)

    async def heartbeat(self) -> Heartbeat:
        """The user is there. Raises ClientError."""
        return await self.transport.call("POST", f"{_BASE}/container/heartbeat", Heartbeat, query=self._who)

    async def remove(self) -> WorkspaceView:
        """The container is gone; files stay. Raises ClientError."""
        path = f"{_BASE}/container/remove"
        return await self.transport.call("POST", path, WorkspaceView, query=self._who, seconds=60.0)
