"""What an operator asks of a whole platform: its control plane, and its API entry about workspaces, apps and users."""

from collections.abc import Callable

from protocol.client.api import ApiAdminClient
from protocol.client.deploy import AdminClient
from protocol.client.transport import ClientError, Transport
from protocol.client.workspace_admin import WorkspaceAdminClient


class NoApi(ClientError):
    """Nothing is known of the API entry; the message says what to set."""


class OperatorClient(AdminClient):
    """The API entry is found with the first question to it: `api` makes the way to it, or raises NoApi. Its connections
    end with those to the control plane."""

    def __init__(self, transport: Transport, api: Callable[[], Transport]) -> None:
        super().__init__(transport)
        self._api = api
        self._found: Transport | None = None

    @property
    def workspace_plane(self) -> WorkspaceAdminClient:
        """Workspaces and their nodes. Raises NoApi."""
        return WorkspaceAdminClient(self._way())

    @property
    def api_plane(self) -> ApiAdminClient:
        """Apps, whoever owns them, and accounts. Raises NoApi."""
        return ApiAdminClient(self._way())

    def _way(self) -> Transport:
        if self._found is None:
            self._found = self._api()
            self.transport.closes(self._found)
        return self._found
