"""How the agent's databases are put together: nothing of it is there without a database server."""

import importlib
import logging
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from daemons.agent.adapters.accounts import JsonAccounts
from daemons.agent.domain.databases import DatabaseServer, realm_of
from daemons.agent.http.databases import ExplorerRoutes
from daemons.agent.ports.databases import AccountFiles, Databases, Documents
from daemons.agent.services.databases import AppDatabases, Habits
from daemons.agent.services.explorer import Explorer
from daemons.agent.settings import AgentSettings
from daemons.kit.settings import Misconfigured

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseParts:
    """A database server and what is remembered of its accounts."""

    databases: Databases
    documents: Documents
    accounts: AccountFiles


async def open_databases(settings: AgentSettings, folder: Path, stack: AsyncExitStack) -> DatabaseParts | None:
    """MongoDB, when one is configured; its driver is read only then. Raises Misconfigured without the driver."""
    if not settings.mongo_host:
        return None
    if find_spec("pymongo") is None:
        raise Misconfigured(
            "agent cannot start: RUNTIME_MONGO_HOST is set, but PyMongo is not installed; install the extra 'mongo' "
            "(pip install -c constraints.txt '.[mongo]'), or unset it"
        )
    _warn(settings)
    mongo = importlib.import_module("daemons.agent.adapters.mongo")
    server = mongo.MongoServer(
        settings.mongo_host,
        settings.mongo_port,
        settings.mongo_username,
        settings.mongo_password.get_secret_value(),
        settings.mongo_auth_source,
        settings.mongo_tls,
    )
    client = await mongo.connect(server)
    stack.push_async_callback(client.close)
    return DatabaseParts(mongo.MongoDatabases(client), mongo.MongoDocuments(client), JsonAccounts(folder))


def app_databases(settings: AgentSettings, parts: DatabaseParts | None) -> AppDatabases | None:
    """Who sees to the accounts of apps."""
    if parts is None:
        return None
    habits = Habits(settings.mongo_drop, settings.mongo_mark, settings.mongo_seconds)
    return AppDatabases(parts.databases, parts.accounts, _server(settings), habits, lambda: secrets.token_urlsafe(32))


def explorer_routes(settings: AgentSettings, parts: DatabaseParts | None) -> Sequence[web.RouteDef]:
    """The explorer's calls, which without a server say that there is none."""
    return ExplorerRoutes(Explorer(parts.documents, _server(settings)) if parts else None).table()


def _warn(settings: AgentSettings) -> None:
    if not settings.mongo_username:
        logger.warning("RUNTIME_MONGO_USERNAME is not set: without access control every app can read every database")
    host = _server(settings).host
    if host in ("localhost", "::1") or host.startswith("127."):
        logger.warning(
            "at the database server's address every app reaches itself: set RUNTIME_MONGO_APP_HOST to the one that "
            "containers reach it at",
            extra={"host": host},
        )


def _server(settings: AgentSettings) -> DatabaseServer:
    return DatabaseServer(
        settings.mongo_app_host or settings.mongo_host,
        settings.mongo_port,
        realm_of(settings.node_name),
        settings.mongo_template,
        settings.mongo_tls,
    )
