"""MariaDB and MySQL as a driver: bounded pools of connections that are closed whenever their state is in doubt.

Sessions are READ COMMITTED, strict, in UTC, without autocommit. The server must make commits durable: the settings
`innodb_flush_log_at_trx_commit` and `sync_binlog` are checked at start.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import pymysql.err
from pymysql.constants import ER

from daemons.kit.breaker import Breaker
from daemons.kit.database import (
    PARAMETER,
    Connection,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Guard,
    Lane,
    Value,
)
from daemons.kit.mysql_session import MysqlAddress, MysqlConnection, StuckCommits, error_code, new_session

__all__ = ["MysqlAddress", "MysqlDriver"]

_MIGRATION_SECONDS: Final = 600
#: Lists and repeated rows make one text per length.
_REMEMBERED_STATEMENTS: Final = 1000
_MENDABLE: Final = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR}
_DURABILITY: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin')"
)

logger = logging.getLogger(__name__)


class _Pool:
    """Connections of one lane."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.slots = asyncio.Semaphore(size)
        self.idle: deque[MysqlConnection] = deque()

    def waiting(self) -> MysqlConnection | None:
        """An idle connection that is alive."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable():
                return connection
            connection.drop()
        return None

    def take_back(self, connection: MysqlConnection) -> None:
        """Keep the connection for the next one, if its state is clear."""
        if self.size and connection.usable() and not connection.open_transaction():
            self.idle.append(connection)
        else:
            connection.drop()


class MysqlDriver:
    """A pool of at most `sizes[lane]` connections for each lane, and one breaker for all. `seconds` bounds what is done
    at the start, and every statement on the server's side."""

    dialect = "mysql"
    clock = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now"

    def __init__(
        self,
        address: MysqlAddress,
        *,
        sizes: Mapping[Lane, int],
        seconds: float,
        breaker: Breaker | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._address = address
        self._seconds = seconds
        self._pools = {lane: _Pool(size) for lane, size in sizes.items()}
        self._breaker = breaker or Breaker()
        self._stuck = StuckCommits()
        self._guard = guard
        self._problem = f"the database {address} did not answer a moment ago"
        self._placeholders: dict[str, str] = {}

    async def start(self) -> None:
        """Connect once and check that commits are durable."""
        async with self.connection(asyncio.get_running_loop().time() + self._seconds) as connection:
            found = {row["Variable_name"]: row["Value"] for row in (await connection.execute(_DURABILITY)).rows}
            await connection.abandon()
        flush = found.get("innodb_flush_log_at_trx_commit", "1")
        if flush == "0":
            raise DatabaseMisconfigured(
                f"the database {self._address} would lose committed jobs in a crash "
                "(innodb_flush_log_at_trx_commit=0); set it to 1"
            )
        if flush != "1":
            _warn_of("innodb_flush_log_at_trx_commit", flush)
        if found.get("log_bin") == "ON" and found.get("sync_binlog") != "1":
            _warn_of("sync_binlog", found.get("sync_binlog", "unset"))

    async def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        for pool in self._pools.values():
            pool.size = 0
            while pool.idle:
                await pool.idle.popleft().quit()

    def placeholders(self, statement: str) -> str:
        """`:name` as `%(name)s`, and every other `%` doubled."""
        converted = self._placeholders.get(statement)
        if converted is None:
            escaped = statement.replace("%", "%%")
            converted = PARAMETER.sub(lambda m: f"%({m[1]})s" if m[1] else m[0], escaped)
            if len(self._placeholders) >= _REMEMBERED_STATEMENTS:
                self._placeholders.clear()
            self._placeholders[statement] = converted
        return converted

    def connection(self, deadline: float, lane: Lane = Lane.COMMON) -> AbstractAsyncContextManager[Connection]:
        """An idle connection, or a new one."""
        return self._connection(self._pools[lane], deadline)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[Connection]:
        """A connection of its own that holds a server-wide lock; each statement commits by itself, as DDL does."""
        loop = asyncio.get_running_loop()
        connection = await self._connect(loop.time() + self._seconds, _MIGRATION_SECONDS)
        connection.deadline = loop.time() + _MIGRATION_SECONDS
        try:
            await connection.execute("SET autocommit = 1")
            lock: dict[str, Value] = {
                "lock": f"fun_ai_schema:{self._address.name}"[:64],
                "seconds": _MIGRATION_SECONDS // 2,
            }
            held = await connection.execute("SELECT GET_LOCK(%(lock)s, %(seconds)s) AS held", lock)
            if held.rows[0]["held"] != 1:
                raise DatabaseUnavailable("another program has been migrating this database for minutes; look at it")
            yield connection
        finally:
            await connection.quit()

    @asynccontextmanager
    async def _connection(self, pool: _Pool, deadline: float) -> AsyncIterator[Connection]:
        loop = asyncio.get_running_loop()
        came = loop.time()
        if not self._breaker.admits(came):
            raise self._resting()
        try:
            async with asyncio.timeout_at(deadline):
                await pool.slots.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(
                f"all {pool.size} database connections were busy all the time; try again later"
            ) from None
        try:
            if self._breaker.opened_since(came):
                raise self._resting()
            connection = pool.waiting() or await self._admitted(deadline)
            connection.deadline = deadline
            try:
                yield connection
            finally:
                pool.take_back(connection)
        finally:
            pool.slots.release()

    def _resting(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"{self._problem}; try again later")

    async def _admitted(self, deadline: float) -> MysqlConnection:
        connection = await self._connect(deadline, self._seconds)
        try:
            if self._guard is not None:
                await self._guard(connection)
                await connection.abandon()
        except DatabaseUnavailable as error:
            connection.drop()
            self._breaker.refused(asyncio.get_running_loop().time())
            self._problem = str(error)
            raise
        except BaseException:
            connection.drop()
            raise
        self._problem = f"the database {self._address} did not answer a moment ago"
        return connection

    async def _connect(self, deadline: float, statement_seconds: float) -> MysqlConnection:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                raw = await new_session(self._address, statement_seconds)
        except TimeoutError:
            self._breaker.silent(asked, loop.time())
            raise DatabaseUnavailable(f"the database {self._address} cannot be reached: no answer in time") from None
        except (OSError, pymysql.err.MySQLError, RuntimeError) as error:
            self._breaker.refused(loop.time())
            if error_code(error) in _MENDABLE:
                raise DatabaseMisconfigured(
                    f"the database {self._address} refuses us: {error}; check user, password, name and grants"
                ) from error
            raise DatabaseUnavailable(f"the database {self._address} cannot be reached: {error}") from error
        self._breaker.answered(loop.time())
        return MysqlConnection(raw, deadline, self._breaker, self._stuck)


def _warn_of(name: str, value: str) -> None:
    logger.warning(
        "the database may lose committed jobs in a crash of its machine; set this server variable to 1",
        extra={"variable": name, "value": value},
    )
