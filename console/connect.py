"""From settings to a client of the control plane."""

from console.settings import ConsoleSettings
from protocol import headers
from protocol.client.deploy import AdminClient
from protocol.client.transport import Transport


def admin(settings: ConsoleSettings) -> AdminClient:
    """A client with the operator's token; the caller closes its transport."""
    return AdminClient(Transport(settings.deploy_url, {headers.ADMIN_TOKEN: settings.admin_token}))
