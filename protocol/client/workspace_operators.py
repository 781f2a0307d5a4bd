"""Calls of operators about users' workspaces, to the API entry. Every method raises ClientError.

The client of WebSockets is loaded with the first run: it is a fifth of what every command would wait for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import orjson

from protocol.base import Envelope
from protocol.client.stream import payloads
from protocol.client.transport import Refused, Transport
from protocol.workspace_operators import WorkspaceStanding, WorkspaceStandings
from protocol.workspace_runs import RunLog, RunView

if TYPE_CHECKING:
    from protocol.client.socket import ClientLine

_BASE: Final = "/api/fun-ai/admin/workspaces"
#: A container is pulled, made and started within it.
_START_SECONDS: Final = 330.0
_STOP_SECONDS: Final = 60.0

Query = dict[str, str | int | None]


class WorkspaceCalls:
    """Part of the clients of operators; `workspaces_at` is the API entry."""

    @property
    def workspaces_at(self) -> Transport:
        """The way to the API entry."""
        raise NotImplementedError

    async def workspaces(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspaceStandings:
        """Some of a node's workspaces, in the order of their users' ids."""
        query: Query = {"nodeId": node_id, "offset": offset, "limit": limit}
        return await self.workspaces_at.call("GET", f"{_BASE}/list", WorkspaceStandings, query=query)

    async def workspace(self, user_id: str) -> WorkspaceStanding:
        """One user's. Raises Refused 404 for a user who has none."""
        return await self.workspaces_at.call("GET", f"{_BASE}/show", WorkspaceStanding, query={"userId": user_id})

    async def start_workspace(self, user_id: str) -> WorkspaceStanding:
        """Its container runs afterwards."""
        path, query = f"{_BASE}/start", Query(userId=user_id)
        return await self.workspaces_at.call("POST", path, WorkspaceStanding, query=query, seconds=_START_SECONDS)

    async def stop_workspace(self, user_id: str) -> WorkspaceStanding:
        """Its container has ended; files stay, and the next use starts it again."""
        path, query = f"{_BASE}/stop", Query(userId=user_id)
        return await self.workspaces_at.call("POST", path, WorkspaceStanding, query=query, seconds=_STOP_SECONDS)

    async def workspace_run(self, user_id: str) -> RunView:
        """How the user's run goes."""
        return await self.workspaces_at.call("GET", f"{_BASE}/run", RunView, query={"userId": user_id})

    async def workspace_log(self, user_id: str, app_id: str, kind: str, tail_bytes: int = 0) -> RunLog:
        """The newest log of a kind of run."""
        query: Query = {"userId": user_id, "appId": app_id, "type": kind, "tailBytes": tail_bytes}
        response = await self.workspaces_at.send("GET", f"{_BASE}/log", query=query)
        if not response.is_success:
            # Only a log that is there comes without an envelope.
            envelope = Envelope[Any].model_validate_json(response.content)
            raise Refused(envelope.code, envelope.message, envelope.reason, envelope.data)
        return RunLog.model_validate_json(response.content)

    async def follow_workspace_log(self, user_id: str, app_id: str, kind: str, offset: int = 0) -> AsyncIterator[str]:
        """The same as it grows."""
        query: Query = {"userId": user_id, "appId": app_id, "type": kind, "offset": offset}
        async with self.workspaces_at.stream(f"{_BASE}/log/events", query=query, silence_seconds=75.0) as response:
            async for data in payloads(response):
                document = orjson.loads(data)
                if not isinstance(document, dict) or "text" not in document:
                    return
                yield str(document["text"])

    @asynccontextmanager
    async def workspace_exec(self, user_id: str, app_id: str | None = None) -> AsyncIterator["ClientLine"]:
        """A line that carries frames of `protocol.workspace_operators`; the first to be sent is an `ExecStart`."""
        transport, socket = self.workspaces_at, import_module("protocol.client.socket")
        asked = {"userId": user_id, **({"appId": app_id} if app_id else {})}
        try:
            url = f"{transport.base_url}{_BASE}/exec?{urlencode(asked)}"
            async with socket.opened(url, transport.proof, seconds=_START_SECONDS) as line:
                yield line
        except socket.NotOpened as refusal:
            # A refused upgrade comes without its words; what it would have begun with is refused with them.
            await self.start_workspace(user_id)
            raise Refused(refusal.status, str(refusal)) from None
