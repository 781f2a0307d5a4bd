"""The account of every app in the database server: made before its programs, removed after them.

The server is never in an app's way. The password is chosen here and written down first, so programs get their
variables also while the server is away, and the account is made as soon as it is back. What is owed survives a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from daemons.kit.breaker import Breaker
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.mongo.accounts import (
    SECRET_VARIABLES,
    Account,
    DatabaseServer,
    Phase,
    environment,
    gone,
    ready,
    wanted,
)
from daemons.kit.mongo.ports import AccountError, AccountFiles, DatabaseError, Databases, Given

logger = logging.getLogger(__name__)

_REST_SECONDS: Final = 10.0
_CLOCK: Final = SystemClock()

#: What an app is told of its database.
Tell = Callable[[DatabaseServer, Account], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Farewell:
    """What became of a deleted app's database; `reason` says why it was kept, `error` why it is not gone yet."""

    enabled: bool = False
    dropped: bool = False
    database: str | None = None
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """`seconds` is how long the server may keep a start or a delete waiting, `retry_seconds` lie between tries; who
    does not `drop` the data of deleted apps says why they are kept."""

    drop: bool = False
    mark: bool = True
    seconds: float = 3.0
    retry_seconds: float = 10.0
    kept_because: str = ""


class AppDatabases:
    """`run` is the loop that makes up for what could not be done at once."""

    def __init__(
        self,
        databases: Databases,
        files: AccountFiles,
        server: DatabaseServer,
        habits: Habits,
        new_password: Callable[[], str],
        tell: Tell = environment,
        clock: Clock = _CLOCK,
    ) -> None:
        self._databases = databases
        self._files = files
        self._server = server
        self._habits = habits
        self._new_password = new_password
        self._tell = tell
        self._clock = clock
        self._accounts: dict[tuple[str, str], Account] | None = None
        self._loading = asyncio.Lock()
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._owed: set[tuple[str, str]] = set()
        self._owing = asyncio.Event()
        self._breaker = Breaker(_REST_SECONDS)

    async def given(self, user_id: str, app_id: str) -> Given:
        """What the app's programs are told; its account exists, or is made as soon as the server can be reached.

        Raises AccountError.
        """
        known, key = await self._known(), (user_id, app_id)
        async with self._alone(key):
            account = known.get(key) or self._new(user_id, app_id)
            await self._keep(wanted(account))
            problem = await self._try(key)
            if problem:
                logger.warning(
                    "an app's database account could not be made yet and will be", extra=_words(account, problem)
                )
            return Given(self._tell(self._server, known[key]), SECRET_VARIABLES)

    async def leave(self, user_id: str, app_id: str) -> Farewell:
        """Remove the app's account, and its database where that is wanted. Raises AccountError."""
        known, key = await self._known(), (user_id, app_id)
        database = self._server.database(user_id, app_id)
        async with self._alone(key):
            # Without an account there may still be the database, and accounts of other nodes.
            account = known.get(key) or self._new(user_id, app_id)
            await self._keep(gone(account, drop=self._habits.drop))
            problem = await self._try(key)
            if problem:
                logger.warning("an app's database account is not removed yet", extra=_words(account, problem))
                return Farewell(True, False, database, error=f"{problem}; this node goes on trying")
            reason = None if self._habits.drop else self._habits.kept_because
            return Farewell(True, self._habits.drop, database, reason)

    async def every(self) -> tuple[Account, ...]:
        """All accounts, those that are still to be removed included. Raises AccountError."""
        return tuple((await self._known()).values())

    async def run(self) -> None:
        """Work for ever."""
        while True:
            try:
                await self._known()
                await self._owing.wait()
            except AccountError as error:
                logger.warning("the accounts of databases cannot be read", extra={"error": str(error)})
            else:
                await self.settle()
            await asyncio.sleep(self._habits.retry_seconds)

    async def settle(self) -> None:
        """Try once what is owed, until the server fails."""
        for key in tuple(self._owed):
            async with self._alone(key):
                try:
                    problem = await self._try(key) if key in self._owed else None
                except AccountError as error:
                    problem = str(error)
            if problem:
                logger.info("what is owed to databases waits", extra={"apps": len(self._owed), "error": problem})
                return

    async def _try(self, key: tuple[str, str]) -> str | None:
        """Do what the account's phase says; why it could not be done. It is owed until then. Raises AccountError."""
        loop = asyncio.get_running_loop()
        self._owed.add(key)
        self._owing.set()
        if not self._breaker.admits(loop.time()):
            return "the database server does not answer"
        try:
            async with asyncio.timeout(self._habits.seconds):
                await self._carry_out((await self._known())[key])
        except TimeoutError:
            self._breaker.refused(loop.time())
            return f"the database server did not answer within {self._habits.seconds:g} s"
        except DatabaseError as error:
            self._breaker.refused(loop.time())
            return str(error)
        self._breaker.answered(loop.time())
        await self._done(key)
        return None

    async def _carry_out(self, account: Account) -> None:
        if account.phase is Phase.GONE:
            await self._databases.revoke(account)
            if account.drop:
                await self._databases.drop(account.database)
            return
        await self._databases.ensure(account)
        if self._habits.mark:
            await self._databases.mark(account.database)

    async def _done(self, key: tuple[str, str]) -> None:
        known = await self._known()
        account = known[key]
        if account.phase is Phase.GONE:
            await self._files.remove(account)
            del known[key]
        else:
            await self._keep(ready(account))
        self._owed.discard(key)
        if not self._owed:
            self._owing.clear()

    async def _keep(self, account: Account) -> None:
        known = await self._known()
        if known.get(account.key) != account:
            await self._files.save(account)
            known[account.key] = account

    async def _known(self) -> dict[tuple[str, str], Account]:
        async with self._loading:
            if self._accounts is None:
                self._accounts = {account.key: account for account in await self._files.load()}
                self._owed = {key for key, account in self._accounts.items() if account.phase is not Phase.READY}
                if self._owed:
                    self._owing.set()
            return self._accounts

    def _new(self, user_id: str, app_id: str) -> Account:
        now_ms = int(self._clock.now().timestamp() * 1000)
        return self._server.account(user_id, app_id, self._new_password(), now_ms)

    def _alone(self, key: tuple[str, str]) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())


def _words(account: Account, problem: str) -> dict[str, str]:
    return {"app_id": account.app_id, "database": account.database, "error": problem}
