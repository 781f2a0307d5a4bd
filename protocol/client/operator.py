"""What an operator asks of a whole platform: its control plane, and its API entry about workspaces."""

from collections.abc import Callable

from protocol.client.deploy import AdminClient
from protocol.client.transport import ClientError, Transport
from protocol.client.workspace_admin import WorkspaceAdminClient


class NoApi(ClientError):
    """Nothing is known of the API entry; the message says what to set."""


class OperatorClient(AdminClient):
    """The API entry is found with the first question about workspaces: `api` makes the way to it, or raises NoApi. Its
    connections end with those to the control plane."""

    def __init__(self, transport: Transport, api: Callable[[], Transport]) -> None:
        super().__init__(transport)
        self._api = api
        self._workspaces: WorkspaceAdminClient | None = None

    @property
    def workspace_plane(self) -> WorkspaceAdminClient:
        """Workspaces and their nodes. Raises NoApi."""
        if self._workspaces is None:
            way = self._api()
            self.transport.closes(way)
            self._workspaces = WorkspaceAdminClient(way)
        return self._workspaces
