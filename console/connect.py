"""From settings to a client of the control plane or of the API entry. The caller closes its transport."""

from importlib import import_module
from typing import TYPE_CHECKING

from console.settings import ConsoleSettings, NotConfigured, read_operator
from protocol import headers
from protocol.client.jobs import JobReads
from protocol.client.transport import Transport

if TYPE_CHECKING:
    from protocol.client.api import ApiAdminClient
    from protocol.client.operator import OperatorClient
    from protocol.client.workspace_admin import WorkspaceAdminClient


def jobs(settings: ConsoleSettings) -> JobReads:
    """A client for whoever looks at jobs alone, with the operator's token."""
    return JobReads(_transport(settings))


def admin(settings: ConsoleSettings) -> "OperatorClient":
    """A client with the operator's tokens. It knows every route, so its module is loaded when somebody wants it."""
    module = import_module("protocol.client.operator")

    def api() -> Transport:
        try:
            return _api(settings)
        except NotConfigured as problem:
            raise module.NoApi(str(problem)) from None

    client: OperatorClient = module.OperatorClient(_transport(settings), api)
    return client


def workspaces(settings: ConsoleSettings) -> "WorkspaceAdminClient":
    """A client of the API entry with its operator's token. Raises NotConfigured."""
    client: WorkspaceAdminClient = import_module("protocol.client.workspace_admin").WorkspaceAdminClient(_api(settings))
    return client


def entry(settings: ConsoleSettings) -> "ApiAdminClient":
    """A client of the API entry for what it knows of apps and users. Raises NotConfigured."""
    client: ApiAdminClient = import_module("protocol.client.api").ApiAdminClient(_api(settings))
    return client


def _api(settings: ConsoleSettings) -> Transport:
    """An operator may show an API key of their own in the place of the admin token: then that person's role counts."""
    url, token = read_operator(settings)
    if token.startswith(headers.API_KEY_PREFIX):
        return Transport(url, {headers.AUTHORIZATION: f"Bearer {token}"})
    return Transport(url, {headers.ADMIN_TOKEN: token})


def _transport(settings: ConsoleSettings) -> Transport:
    return Transport(settings.deploy_url, {headers.ADMIN_TOKEN: settings.admin_token})
