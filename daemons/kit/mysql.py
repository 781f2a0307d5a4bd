"""MariaDB and MySQL as a driver: a bounded pool of connections that are closed whenever their state is in doubt.

Sessions are READ COMMITTED, strict, in UTC, without autocommit. The server must make commits durable: the settings
`innodb_flush_log_at_trx_commit` and `sync_binlog` are checked at start.
Every call has a time limit of its own, because the client library has none for reads. A call that was cut off leaves an
answer on its way, so its connection is closed and never handed to somebody else.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiomysql
import pymysql.err
from pymysql.constants import CR, ER

from daemons.kit.database import (
    PARAMETER,
    CommitUnknown,
    Conflicted,
    Connection,
    ConnectionLost,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Duplicate,
    Result,
    StatementFailed,
    Value,
)

_LOCK_WAIT_SECONDS: Final = 3
_MIGRATION_SECONDS: Final = 600
_REST_AFTER_FAILURE_SECONDS: Final = 1.0
_CONFLICTS: Final = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, 1020}
_LOST: Final = {0, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1053, 1927, 4031}
_UNAVAILABLE: Final = {1021, 1030, 1037, 1038, 1040, 1041, 1042, 1114, 1226, 1290, 1317, 1836, 1969, 3024}
_MENDABLE: Final = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR}
_SQL_MODE: Final = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
#: `sql_notes`: a note ("table already exists") would cost a second round trip and reach nobody.
_SESSION: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION sql_mode = '{_SQL_MODE}', time_zone = '+00:00', sql_notes = 0",
)
_DURABILITY: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin')"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MysqlAddress:
    """Where the server is and who we are there."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str

    def __str__(self) -> str:
        return f"{self.name} at {self.host}:{self.port}"


class MysqlDriver:
    """A pool of at most `size` connections. `seconds` bounds connecting, every statement and the wait for a connection.

    After a failure to connect, calls fail at once for a second instead of queueing up behind a server that is gone.
    """

    dialect = "mysql"
    clock = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now"

    def __init__(self, address: MysqlAddress, *, size: int, seconds: float) -> None:
        self._address = address
        self._size = size
        self._seconds = seconds
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[MysqlConnection] = deque()
        self._rest_until = 0.0
        self._placeholders: dict[str, str] = {}

    async def start(self) -> None:
        """Connect once and check that commits are durable."""
        async with self.connection() as connection:
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
        self._size = 0
        while self._idle:
            await self._idle.popleft().quit()

    def placeholders(self, statement: str) -> str:
        """`:name` as `%(name)s`, and every other `%` doubled."""
        converted = self._placeholders.get(statement)
        if converted is None:
            escaped = statement.replace("%", "%%")
            converted = PARAMETER.sub(lambda m: f"%({m[1]})s" if m[1] else m[0], escaped)
            if "_0)s" not in converted:
                self._placeholders[statement] = converted
        return converted

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """An idle connection, or a new one."""
        return self._connection()

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[Connection]:
        """A connection of its own that holds a server-wide lock; each statement commits by itself, as DDL does."""
        connection = MysqlConnection(await self._connect(), _MIGRATION_SECONDS)
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
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(
                f"all {self._size} database connections were busy for {self._seconds:g} s; try again"
            ) from None
        try:
            connection = self._waiting() or MysqlConnection(await self._connect(), self._seconds)
            try:
                yield connection
            finally:
                self._take_back(connection)
        finally:
            self._slots.release()

    def _waiting(self) -> "MysqlConnection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.drop()
        return None

    def _take_back(self, connection: "MysqlConnection") -> None:
        if self._size and connection.usable() and not connection.open_transaction():
            self._idle.append(connection)
        else:
            connection.drop()

    async def _connect(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest_until:
            raise DatabaseUnavailable(f"the database {self._address} did not answer a moment ago; try again later")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._new_session()
        except (TimeoutError, OSError, pymysql.err.MySQLError, RuntimeError) as error:
            self._rest_until = loop.time() + _REST_AFTER_FAILURE_SECONDS
            code = _code(error)
            if code in _MENDABLE:
                raise DatabaseMisconfigured(
                    f"the database {self._address} refuses us: {error}; check user, password, name and grants"
                ) from error
            reason = str(error) or f"no answer within {self._seconds:g} s"
            raise DatabaseUnavailable(f"the database {self._address} cannot be reached: {reason}") from error

    async def _new_session(self) -> Any:
        address = self._address
        raw = await aiomysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            db=address.name,
            charset="utf8mb4",
            cursorclass=aiomysql.DictCursor,
            autocommit=False,
        )
        try:
            server = str(raw.get_server_info())
            limits = f"SET SESSION innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}"
            if "MariaDB" in server:
                # A client that vanished must not hold its row locks until the operating system notices; and NOT EXISTS
                # must look into the index row by row, not read a whole table aside first.
                limits += ", idle_transaction_timeout = 30, optimizer_switch = 'exists_to_in=off'"
            for statement in (*_SESSION, limits):
                await raw.query(statement)
        except BaseException:
            raw.close()
            raise
        return raw


class MysqlConnection:
    """One connection of the pool."""

    def __init__(self, raw: Any, seconds: float) -> None:
        self._raw = raw
        self._seconds = seconds

    def usable(self) -> bool:
        """Whether the connection looks alive: nobody closed it, and the server did not either."""
        reader = self._raw._reader
        return not self._raw.closed and reader is not None and not reader.at_eof() and reader.exception() is None

    def open_transaction(self) -> bool:
        """Whether the server said that a transaction is open."""
        return bool(self._raw.get_transaction_status())

    def drop(self) -> None:
        """Close without a word to the server, which rolls back what is open."""
        self._raw.close()

    async def quit(self) -> None:
        """Say goodbye and close."""
        try:
            async with asyncio.timeout(1):
                await self._raw.ensure_closed()
        except (TimeoutError, OSError, pymysql.err.MySQLError, RuntimeError) as error:
            logger.debug("a database connection was closed without goodbye", extra={"error": str(error)})
        finally:
            self.drop()

    async def begin(self) -> None:
        """Without autocommit the first statement begins the transaction."""

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        """Run one statement. Bytes travel as hexadecimal digits, for `UNHEX(:name)`: this client cannot write them."""
        plain = values and {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
        try:
            async with asyncio.timeout(self._seconds):
                cursor = await self._raw.cursor()
                changed = await cursor.execute(statement, plain)
                rows = await cursor.fetchall() if cursor.description else ()
                return Result(rows, changed, cursor.lastrowid or 0)
        except TimeoutError:
            self.drop()
            raise DatabaseUnavailable(f"the database did not answer within {self._seconds:g} s") from None
        except asyncio.CancelledError:
            self.drop()
            raise
        except (OSError, pymysql.err.MySQLError, RuntimeError) as error:
            raise self._translated(error) from error
        except UnicodeError as error:
            raise StatementFailed(str(error)) from error

    async def commit(self) -> None:
        """Commit."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._raw.commit()
        except TimeoutError:
            self.drop()
            raise CommitUnknown(f"the database did not answer the commit within {self._seconds:g} s") from None
        except asyncio.CancelledError:
            self.drop()
            raise
        except (OSError, pymysql.err.MySQLError, RuntimeError) as error:
            self.drop()
            if _code(error) in _CONFLICTS:
                raise Conflicted(str(error)) from error
            raise CommitUnknown(f"the commit failed on the way: {error}") from error

    async def abandon(self) -> None:
        """Roll back, or close the connection, which does the same."""
        if not self.usable():
            self.drop()
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._raw.rollback()
        except (TimeoutError, OSError, pymysql.err.MySQLError, RuntimeError):
            self.drop()

    def _translated(self, error: Exception) -> Exception:
        code = _code(error)
        if code == ER.DUP_ENTRY:
            return Duplicate(str(error))
        if code in _CONFLICTS:
            return Conflicted(str(error))
        if code in _LOST or isinstance(error, OSError | RuntimeError):
            self.drop()
            return ConnectionLost(f"the connection to the database broke: {error}")
        if code in _UNAVAILABLE:
            return DatabaseUnavailable(f"the database cannot serve now: {error}")
        return StatementFailed(str(error))


def _code(error: BaseException) -> int:
    code = error.args[0] if isinstance(error, pymysql.err.MySQLError) and error.args else None
    return code if isinstance(code, int) else -1


def _warn_of(name: str, value: str) -> None:
    logger.warning(
        "the database may lose committed jobs in a crash of its machine; set this server variable to 1",
        extra={"variable": name, "value": value},
    )
