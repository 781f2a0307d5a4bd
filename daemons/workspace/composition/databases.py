"""Puts together the databases for development; there are none unless they are switched on."""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from daemons.kit.clock import Clock
from daemons.kit.mongo.account_files import JsonAccounts
from daemons.kit.mongo.accounts import DatabaseServer, realm_of
from daemons.kit.mongo.keeping import AppDatabases, Habits
from daemons.kit.mongo.opening import Variables, open_mongo
from daemons.kit.mongo.ports import AccountFiles, Databases, Doors, MongoServer
from daemons.workspace.services.databases import Development, told
from daemons.workspace.settings import WorkspaceSettings

_CALLED: Final = Variables(
    "workspace",
    "FUNAI_WORKSPACE_MONGO_HOST",
    "FUNAI_WORKSPACE_MONGO_USERNAME",
    "FUNAI_WORKSPACE_MONGO_CONTAINERHOST",
)
_USER: Final = "ws_u{userId}_a{appId}"
_PASSWORD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class DatabaseParts:
    """A database server, the ways into it, and what is remembered of its accounts."""

    databases: Databases
    doors: Doors
    accounts: AccountFiles


async def open_databases(settings: WorkspaceSettings, stack: AsyncExitStack) -> DatabaseParts | None:
    """MongoDB, where it is switched on. Raises Misconfigured without its driver."""
    if not settings.mongo_enabled:
        return None
    server = MongoServer(
        settings.mongo_host,
        settings.mongo_port,
        settings.mongo_username,
        settings.mongo_password.get_secret_value(),
        settings.mongo_auth_source,
        settings.mongo_tls,
        "funai-workspace",
    )
    parts = await open_mongo(server, database_server(settings).host, _CALLED, stack)
    return DatabaseParts(parts.databases, parts.doors, JsonAccounts(settings.state_root))


def development(settings: WorkspaceSettings, parts: DatabaseParts | None, clock: Clock) -> Development | None:
    """Who sees to the databases of apps; their data go with them."""
    if parts is None:
        return None
    habits = Habits(drop=True, mark=False, seconds=settings.mongo_seconds)
    server, new_password = database_server(settings), lambda: secrets.token_urlsafe(_PASSWORD_BYTES)
    accounts = AppDatabases(parts.databases, parts.accounts, server, habits, new_password, told, clock)
    return Development(accounts, parts.doors)


def database_server(settings: WorkspaceSettings) -> DatabaseServer:
    """As containers reach it."""
    return DatabaseServer(
        settings.mongo_container_host or settings.mongo_host,
        settings.mongo_port,
        realm_of(settings.node_name),
        f"{settings.mongo_prefix}{{appId}}",
        settings.mongo_tls,
        _USER,
    )
