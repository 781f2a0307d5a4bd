"""Calls to a workspace node."""

from typing import Any, Final

from protocol.base import Envelope, Wire
from protocol.client.transport import Refused, Transport
from protocol.workspace_git import GitConflictsView, GitLogView, GitReport, GitStatusView
from protocol.workspace_previews import PreviewAccess, PreviewLink, SetPreviewAccess, Visibility
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

    async def git(
        self, app_id: str, what: str, body: Wire | None = None, **query: str | int | bool | None
    ) -> GitReport:
        """A change of the app's repository: ensure, pull, commit-push, reset, resolve, merge/abort or merge/continue;
        names of the query as they are on the wire. Raises ClientError."""
        asked = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        path = f"{_BASE}/git/{what}"
        return await self.transport.call(
            "POST", path, GitReport, query={**self._of(app_id), **asked}, body=body, seconds=_START_SECONDS
        )

    async def git_status(self, app_id: str) -> GitStatusView:
        """How the working copy stands. Raises ClientError."""
        path = f"{_BASE}/git/status"
        return await self.transport.call("GET", path, GitStatusView, query=self._of(app_id), seconds=_START_SECONDS)

    async def git_log(self, app_id: str, limit: int = 10) -> GitLogView:
        """The newest commits. Raises ClientError."""
        query = {**self._of(app_id), "limit": limit}
        return await self.transport.call("GET", f"{_BASE}/git/log", GitLogView, query=query, seconds=_START_SECONDS)

    async def git_conflicts(self, app_id: str) -> GitConflictsView:
        """What a merge left. Raises ClientError."""
        path = f"{_BASE}/git/conflicts"
        return await self.transport.call("GET", path, GitConflictsView, query=self._of(app_id), seconds=_START_SECONDS)

    async def preview_access(self, app_id: str) -> PreviewAccess:
        """Who may see the app's preview. Raises ClientError."""
        return await self.transport.call("GET", f"{_BASE}/preview/access", PreviewAccess, query=self._of(app_id))

    async def show_preview(self, app_id: str, visibility: Visibility) -> PreviewAccess:
        """Who may see it from now on. Raises ClientError."""
        order = SetPreviewAccess(user_id=str(self._who["userId"]), app_id=app_id, visibility=visibility)
        path = f"{_BASE}/preview/access"
        return await self.transport.call("POST", path, PreviewAccess, query=self._who, body=order)

    async def revoke_preview(self, app_id: str) -> PreviewAccess:
        """Nobody who was let in before is let in again. Raises ClientError."""
        return await self.transport.call("POST", f"{_BASE}/preview/revoke", PreviewAccess, query=self._of(app_id))

    async def preview_link(self, app_id: str) -> PreviewLink:
        """What the owner opens. Raises ClientError."""
        return await self.transport.call("POST", f"{_BASE}/preview/link", PreviewLink, query=self._of(app_id))

    def _of(self, app_id: str) -> dict[str, str | int | None]:
        return {**self._who, "appId": app_id}

    async def remove(self) -> WorkspaceView:
        """The container is gone; files stay. Raises ClientError."""
        path = f"{_BASE}/container/remove"
        return await self.transport.call("POST", path, WorkspaceView, query=self._who, seconds=60.0)
