"""One session on MariaDB or MySQL: how it is set up, how its calls end in time, what its errors mean.

The client library has no time limit for reads, so every call has one of ours. A call that was cut off leaves an answer
on its way: its connection is closed and never handed to somebody else.

A server whose disk is full does not answer a COMMIT, and keeps its session until there is space again. `StuckCommits`
remembers such sessions: while one of them is there nothing is written, so that they do not use up the server's
connections. Reading goes on.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiomysql
import pymysql.err
from pymysql.constants import CR, ER

from daemons.kit.breaker import Breaker
from daemons.kit.database import (
    CommitUnknown,
    Conflicted,
    ConnectionLost,
    DatabaseUnavailable,
    Duplicate,
    Result,
    StatementFailed,
    Value,
    refuse_late_commit,
)

_LOCK_WAIT_SECONDS: Final = 1
_GOODBYE_SECONDS: Final = 1.0
_LOOK_AGAIN_SECONDS: Final = 1.0
_CONFLICTS: Final = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, 1020}
_LOST: Final = {0, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1053, 1927, 4031}
#: The server takes no writes (any more), or has left its cluster: after a failover another one does, under the same
#: address, so the connection is given up like a lost one. It answered, so a COMMIT with this answer did nothing.
_DEMOTED: Final = {1047, 1207, 1290, 1792, 1836}
_UNAVAILABLE: Final = {1021, 1030, 1037, 1038, 1040, 1041, 1042, 1114, 1203, 1226, 1317, 1969, 3024}
_SQL_MODE: Final = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
#: `sql_notes`: a note ("table already exists") would cost a second round trip and reach nobody.
_SESSION: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION sql_mode = '{_SQL_MODE}', time_zone = '+00:00', sql_notes = 0",
)
#: An id may have been given out again, to a connection that rests in a pool.
_STILL_BUSY: Final = (
    "SELECT id FROM information_schema.processlist WHERE id IN ({}) AND id <> CONNECTION_ID() AND command <> 'Sleep'"
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


class StuckCommits:
    """Sessions of ours whose COMMIT the server has not answered."""

    def __init__(self) -> None:
        self._sessions: set[int] = set()
        self._look_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def add(self, session: int) -> None:
        """The session was given up in its COMMIT."""
        self._sessions.add(session)

    async def refuse_writes(self, connection: "MysqlConnection") -> None:
        """Raises DatabaseUnavailable while the server still has one of them; asks it once a second at most."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN_SECONDS
            among = ", ".join(str(session) for session in sorted(self._sessions))
            found = await connection.execute(_STILL_BUSY.format(among))
            self._sessions &= {int(row["id"]) for row in found.rows}
        if self._sessions:
            raise DatabaseUnavailable(
                f"the database has not finished {len(self._sessions)} commits and takes no changes until it has; "
                "look whether its disk is full"
            )


class MysqlConnection:
    """One connection of the pool. `deadline` is set by whoever takes it out, on the event loop's clock."""

    def __init__(self, raw: Any, deadline: float, breaker: Breaker, stuck: StuckCommits) -> None:
        self._raw = raw
        self.deadline = deadline
        self._breaker = breaker
        self._stuck = stuck

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
            async with asyncio.timeout(_GOODBYE_SECONDS):
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
        if self._stuck and not statement.startswith(("SELECT", "SHOW")):
            await self._stuck.refuse_writes(self)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            async with asyncio.timeout_at(self.deadline):
                cursor = await self._raw.cursor()
                changed = await cursor.execute(statement, plain)
                rows = await cursor.fetchall() if cursor.description else ()
        except TimeoutError:
            self._breaker.silent(asked, loop.time())
            self.drop()
            raise DatabaseUnavailable("the database did not answer in time; try again later") from None
        except asyncio.CancelledError:
            self.drop()
            raise
        except (OSError, pymysql.err.MySQLError, RuntimeError) as error:
            raise self._translated(error) from error
        except UnicodeError as error:
            raise StatementFailed(str(error)) from error
        self._breaker.answered(loop.time())
        return Result(rows, changed, cursor.lastrowid or 0)

    async def commit(self) -> None:
        """Commit."""
        refuse_late_commit(asyncio.get_running_loop().time(), self.deadline)
        try:
            async with asyncio.timeout_at(self.deadline):
                await self._raw.commit()
        except TimeoutError:
            self._stuck.add(self._raw.thread_id())
            self.drop()
            raise CommitUnknown("the database did not answer the commit in time") from None
        except asyncio.CancelledError:
            self.drop()
            raise
        except (OSError, pymysql.err.MySQLError, RuntimeError) as error:
            self.drop()
            code = error_code(error)
            if code in _CONFLICTS:
                raise Conflicted(str(error)) from error
            if code in _DEMOTED:
                raise ConnectionLost(f"the database takes no changes now: {error}") from error
            raise CommitUnknown(f"the commit failed on the way: {error}") from error

    async def abandon(self) -> None:
        """Roll back, or close the connection, which does the same."""
        if not self.usable():
            self.drop()
            return
        try:
            async with asyncio.timeout_at(self.deadline):
                await self._raw.rollback()
        except (TimeoutError, OSError, pymysql.err.MySQLError, RuntimeError):
            self.drop()

    def _translated(self, error: Exception) -> Exception:
        code = error_code(error)
        # The library raises InterfaceError for a connection that it has closed itself, as after a cancellation.
        if code in _LOST or isinstance(error, OSError | RuntimeError | pymysql.err.InterfaceError):
            self.drop()
            return ConnectionLost(f"the connection to the database broke: {error}")
        self._breaker.answered(asyncio.get_running_loop().time())
        if code == ER.DUP_ENTRY:
            return Duplicate(str(error))
        if code in _CONFLICTS:
            return Conflicted(str(error))
        if code in _DEMOTED:
            self.drop()
            return ConnectionLost(f"the database takes no changes now: {error}")
        if code in _UNAVAILABLE:
            return DatabaseUnavailable(f"the database cannot serve now: {error}")
        return StatementFailed(str(error))


async def new_session(address: MysqlAddress, seconds: float) -> Any:
    """A connection of the client library, set up; the server ends its statements some time after `seconds`, when we
    have given them up.

    Raises what the library raises.
    """
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
        limits = f"SET SESSION innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}"
        if "MariaDB" in str(raw.get_server_info()):
            # A client that vanished must not hold its row locks until the operating system notices, nor a statement
            # that nobody waits for run on; and NOT EXISTS must look into the index row by row, not read a whole table
            # aside first.
            limits += f", idle_transaction_timeout = 30, max_statement_time = {2 * seconds:g}"
            limits += ", optimizer_switch = 'exists_to_in=off'"
        for statement in (*_SESSION, limits):
            await raw.query(statement)
    except BaseException:
        raw.close()
        raise
    return raw


def error_code(error: BaseException) -> int:
    """The server's or the library's number for an error; -1 for other errors."""
    code = error.args[0] if isinstance(error, pymysql.err.MySQLError) and error.args else None
    return code if isinstance(code, int) else -1
