"""How a daemon comes to a MongoDB: its driver is an extra, and read only where a server is configured."""

import importlib
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec

from daemons.kit.mongo.ports import Databases, Documents, Doors, MongoServer
from daemons.kit.settings import Misconfigured

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MongoParts:
    """One server: `databases` and `documents` by the daemon's account, `doors` by those of apps."""

    databases: Databases
    documents: Documents
    doors: Doors


@dataclass(frozen=True, slots=True)
class Variables:
    """Which daemon it is, and how its variables are called: the one that names the server, the user's, and the one for
    the address as apps reach it."""

    daemon: str
    host: str
    username: str
    app_host: str


async def open_mongo(server: MongoServer, app_host: str, called: Variables, stack: AsyncExitStack) -> MongoParts:
    """It connects when it is first used; what has to be closed goes onto the stack. Raises Misconfigured."""
    if find_spec("pymongo") is None:
        raise Misconfigured(
            f"{called.daemon} cannot start: {called.host} is set, but PyMongo is not installed; install the extra "
            "'mongo' (pip install -c constraints.txt '.[mongo]'), or unset it"
        )
    _warn(server, app_host, called)
    driver = importlib.import_module("daemons.kit.mongo.driver")
    client = await driver.connect(server)
    stack.push_async_callback(client.close)
    return MongoParts(driver.MongoDatabases(client), driver.MongoDocuments(client), driver.MongoDoors(server))


def _warn(server: MongoServer, app_host: str, called: Variables) -> None:
    if not server.username:
        logger.warning("%s is not set: without access control every app can read every database", called.username)
    if app_host in ("localhost", "::1") or app_host.startswith("127."):
        logger.warning(
            "at the database server's address every app reaches itself: set %s to the one that containers reach it at",
            called.app_host,
            extra={"host": app_host},
        )
