"""From settings to a client of the control plane. The caller closes its transport."""

from importlib import import_module
from typing import TYPE_CHECKING

from console.settings import ConsoleSettings
from protocol import headers
from protocol.client.jobs import JobReads
from protocol.client.transport import Transport

if TYPE_CHECKING:
    from protocol.client.deploy import AdminClient


def jobs(settings: ConsoleSettings) -> JobReads:
    """A client for whoever looks at jobs alone, with the operator's token."""
    return JobReads(_transport(settings))


def admin(settings: ConsoleSettings) -> "AdminClient":
    """A client with the operator's token. It knows every route, so its module is loaded when somebody wants it."""
    client: AdminClient = import_module("protocol.client.deploy").AdminClient(_transport(settings))
    return client


def _transport(settings: ConsoleSettings) -> Transport:
    return Transport(settings.deploy_url, {headers.ADMIN_TOKEN: settings.admin_token})
