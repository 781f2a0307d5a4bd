"""A database for each app that is worked on: its programs are told an account of its own, and people may look into it.

Everything that is asked for people is asked with the app's account, so that the server itself keeps it to the app's
database; the node's own account makes accounts, takes them and their databases away, and does nothing else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from daemons.kit.mongo.accounts import Account, DatabaseServer, Phase, environment
from daemons.kit.mongo.calls import Calls
from daemons.kit.mongo.explorer import AT_ONCE, Explorer
from daemons.kit.mongo.keeping import AppDatabases
from daemons.kit.mongo.ports import Doors
from daemons.workspace.domain.leavings import Leaving
from daemons.workspace.ports.databases import DatabaseLeft

logger = logging.getLogger(__name__)


class NoDatabase(Exception):
    """The app has no database on this node."""


class Development:
    """The ports `Environment` and `AppDatabases`. `run` is the loop that makes up for what could not be done at once.

    An app's number names its database. Whoever has it on this node keeps it: an order that names the same app for
    another user is not obeyed, whoever let it through.
    """

    def __init__(self, accounts: AppDatabases, doors: Doors) -> None:
        self._accounts = accounts
        self._doors = doors
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Work for ever."""
        await self._accounts.run()

    async def variables(self, user_id: str, app_id: str) -> Mapping[str, str]:
        """Raises AccountError."""
        if await self._is_anothers(user_id, app_id):
            said = {"user_id": user_id, "app_id": app_id}
            logger.warning("an app's database is another user's, so its programs are told of none", extra=said)
            return {}
        return (await self._accounts.given(user_id, app_id)).variables

    @asynccontextmanager
    async def calls(self, user_id: str, app_id: str) -> AsyncIterator[Calls]:
        """The explorer's calls, by the app's account. Entering it raises NoDatabase, AccountError."""
        account = await self._find(user_id, app_id)
        if account is None:
            raise NoDatabase("the app has no database yet: it is made with its first run; start its preview")
        async with self._doors.opened(account) as documents:
            yield Calls(Explorer(documents, self._turn), user_id, app_id, account.database)

    async def made(self) -> Mapping[str, Sequence[Leaving]]:
        """Raises AccountError."""
        found: dict[str, list[Leaving]] = {}
        for account in await self._accounts.every():
            found.setdefault(account.user_id, []).append(Leaving(account.app_id, account.made_at_ms))
        return found

    async def take_away(self, user_id: str, app_id: str) -> bool:
        """Raises DatabaseLeft, AccountError. What another system left under that name goes as well, but is not told."""
        if await self._is_anothers(user_id, app_id):
            return False
        known = await self._find(user_id, app_id) is not None
        farewell = await self._accounts.leave(user_id, app_id)
        if farewell.error is not None:
            raise DatabaseLeft(f"the database of app {app_id} of user {user_id} is not removed yet: {farewell.error}")
        return known

    async def _find(self, user_id: str, app_id: str) -> Account | None:
        found = (one for one in await self._accounts.every() if one.key == (user_id, app_id))
        return next((one for one in found if one.phase is not Phase.GONE), None)

    async def _is_anothers(self, user_id: str, app_id: str) -> bool:
        return any(one.app_id == app_id and one.user_id != user_id for one in await self._accounts.every())


def told(server: DatabaseServer, account: Account) -> Mapping[str, str]:
    """The variables of an app's programs: the documented ones, and those that published apps have."""
    return {
        "MONGO_HOST": server.host,
        "MONGO_PORT": str(server.port),
        "MONGO_USERNAME": account.user,
        "MONGO_PASSWORD": account.password,
        "MONGO_AUTH_SOURCE": account.realm,
        "MONGO_DB_PREFIX": server.template.partition("{appId}")[0],
        "MONGO_DB_NAME": account.database,
        **environment(server, account),
    }
