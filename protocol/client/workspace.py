"""Calls to a workspace node."""

from typing import Any, Final

from protocol.base import Envelope
from protocol.client.transport import Refused, Transport
from protocol.workspace_runs import RunLog, RunType, RunView
from protocol.workspaces import Heartbeat, WorkspaceView

_BASE: Final = "/api/fun-ai/workspace"
#: A container is pulled, made and started within it.
_START_SECONDS: Final = 300.0
_RUNS: Final = {
    RunType.DEV: "start",
    RunType.START: "preview",
    RunType.BUILD: "build",
    RunType.INSTALL: "install",
}


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

    async def run(self, kind: RunType, app_id: str) -> RunView:
        """Begin a run of the app, in place of whatever ran. Raises ClientError."""
        path = f"{_BASE}/run/{_RUNS[kind]}"
        return await self.transport.call("POST", path, RunView, query=self._of(app_id), seconds=_START_SECONDS)

    async def stop_run(self) -> RunView:
        """Nothing runs afterwards. Raises ClientError."""
        return await self.transport.call("POST", f"{_BASE}/run/stop", RunView, query=self._who, seconds=60.0)

    async def run_status(self) -> RunView:
        """How the run goes. Raises ClientError."""
        return await self.transport.call("GET", f"{_BASE}/run/status", RunView, query=self._who)

    async def run_log(self, app_id: str, kind: RunType, tail_bytes: int = 0) -> RunLog:
        """The newest log of the kind. Raises ClientError."""
        query = {**self._of(app_id), "type": kind.value, "tailBytes": tail_bytes}
        response = await self.transport.send("GET", f"{_BASE}/realtime/log", query=query)
        if not response.is_success:
            # Only a log that is there comes without an envelope.
            envelope = Envelope[Any].model_validate_json(response.content)
            raise Refused(envelope.code, envelope.message, envelope.reason, envelope.data)
        return RunLog.model_validate_json(response.content)

    def _of(self, app_id: str) -> dict[str, str | int | None]:
        return {**self._who, "appId": app_id}

    async def remove(self) -> WorkspaceView:
        """The container is gone; files stay. Raises ClientError."""
        path = f"{_BASE}/container/remove"
        return await self.transport.call("POST", path, WorkspaceView, query=self._who, seconds=60.0)
