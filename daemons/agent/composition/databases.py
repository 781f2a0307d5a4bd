"""How the agent's databases are put together: nothing of it is there without a database server."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from daemons.agent.http.databases import ExplorerRoutes
from daemons.agent.settings import AgentSettings
from daemons.kit.mongo.account_files import JsonAccounts
from daemons.kit.mongo.accounts import DatabaseServer, realm_of
from daemons.kit.mongo.explorer import AT_ONCE, Explorer
from daemons.kit.mongo.keeping import AppDatabases, Habits
from daemons.kit.mongo.opening import Variables, open_mongo
from daemons.kit.mongo.ports import AccountFiles, Databases, Documents, MongoServer

_CALLED: Final = Variables("agent", "RUNTIME_MONGO_HOST", "RUNTIME_MONGO_USERNAME", "RUNTIME_MONGO_APP_HOST")
_KEPT: Final = "RUNTIME_MONGO_DROP_ON_DELETE is false, so the data is kept"


@dataclass(frozen=True, slots=True)
class DatabaseParts:
    """A database server and what is remembered of its accounts."""

    databases: Databases
    documents: Documents
    accounts: AccountFiles


async def open_databases(settings: AgentSettings, folder: Path, stack: AsyncExitStack) -> DatabaseParts | None:
    """MongoDB, when one is configured. Raises Misconfigured without its driver."""
    if not settings.mongo_host:
        return None
    server = MongoServer(
        settings.mongo_host,
        settings.mongo_port,
        settings.mongo_username,
        settings.mongo_password.get_secret_value(),
        settings.mongo_auth_source,
        settings.mongo_tls,
        "funai-agent",
    )
    parts = await open_mongo(server, _server(settings).host, _CALLED, stack)
    return DatabaseParts(parts.databases, parts.documents, JsonAccounts(folder))


def app_databases(settings: AgentSettings, parts: DatabaseParts | None) -> AppDatabases | None:
    """Who sees to the accounts of apps."""
    if parts is None:
        return None
    habits = Habits(settings.mongo_drop, settings.mongo_mark, settings.mongo_seconds, kept_because=_KEPT)
    return AppDatabases(parts.databases, parts.accounts, _server(settings), habits, lambda: secrets.token_urlsafe(32))


def explorer_routes(settings: AgentSettings, parts: DatabaseParts | None) -> Sequence[web.RouteDef]:
    """The explorer's calls, which without a server say that there is none."""
    explorer = Explorer(parts.documents, asyncio.Semaphore(AT_ONCE)) if parts else None
    return ExplorerRoutes(explorer, _server(settings).database).table()


def _server(settings: AgentSettings) -> DatabaseServer:
    return DatabaseServer(
        settings.mongo_app_host or settings.mongo_host,
        settings.mongo_port,
        realm_of(settings.node_name),
        settings.mongo_template,
        settings.mongo_tls,
    )
