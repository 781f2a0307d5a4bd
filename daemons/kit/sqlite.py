"""SQLite as a driver: one connection, one transaction at a time.

The journal is a write-ahead log and every commit is synced (`synchronous=FULL`). `BEGIN IMMEDIATE` takes the write lock
at once, so a transaction never has to be upgraded half-way. `:memory:` is the same thing without a file.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import aiosqlite

from daemons.kit.database import (
    CommitUnknown,
    Connection,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Duplicate,
    Lane,
    Result,
    StatementFailed,
    Value,
    refuse_late_commit,
)

MEMORY: Final = ":memory:"
_BUSY_MS: Final = 2000
_BUSY_PAUSE_SECONDS: Final = 0.02
_MIGRATION_SECONDS: Final = 600.0
_LAST_WORDS_SECONDS: Final = 5.0
_DUPLICATE: Final = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
_UNAVAILABLE: Final = (
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
)


class _Locked(DatabaseUnavailable):
    """Another program holds the file's lock."""


class SqliteDriver:
    """A SQLite file, or `:memory:`. `seconds` bounds what is done at the start; there is one connection, no lanes."""

    dialect = "sqlite"
    clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now"

    def __init__(self, path: str, *, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._raw: aiosqlite.Connection | None = None
        self._opening: asyncio.Future[aiosqlite.Connection] | None = None

    async def start(self) -> None:
        """Open the file, making it if it is new."""
        if self._path != MEMORY and not await asyncio.to_thread(_has_folder, self._path):
            raise DatabaseMisconfigured(
                f"the folder of the database file {self._path} does not exist; make it or change the database URL"
            )
        # Shielded: the thread that opens the file cannot be called back, so `close` has to learn what it opened.
        self._opening = asyncio.ensure_future(  # noqa: TID251 - owned: `close` awaits it
            aiosqlite.connect(self._path, isolation_level=None, timeout=_BUSY_MS / 1000)
        )
        try:
            self._raw = await asyncio.shield(self._opening)
        except sqlite3.Error as error:
            raise DatabaseMisconfigured(
                f"the database file {self._path} cannot be opened: {error}; check the path and its permissions"
            ) from error
        self._raw.row_factory = aiosqlite.Row
        connection = SqliteConnection(
            self._raw, asyncio.get_running_loop().time() + self._seconds + _LAST_WORDS_SECONDS
        )
        # SQLite refuses this one at once, without the wait that other statements have, while another program writes.
        await _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"), self._seconds)
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            await connection.execute(f"PRAGMA {pragma}")

    async def close(self) -> None:
        """Finish what is running and close the file."""
        opening, self._opening, self._raw = self._opening, None, None
        if opening is None:
            return
        with suppress(sqlite3.Error):
            await (await opening).close()

    def placeholders(self, statement: str) -> str:
        """SQLite knows `:name` itself."""
        return statement

    def connection(self, deadline: float, lane: Lane = Lane.COMMON) -> AbstractAsyncContextManager[Connection]:
        """The connection, when it is one's turn."""
        return self._connection(deadline, deadline)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[Connection]:
        """The connection in one transaction: a migration that fails leaves nothing behind."""
        now = asyncio.get_running_loop().time()
        async with self._connection(now + self._seconds, now + _MIGRATION_SECONDS) as connection:
            try:
                await _patiently(connection.begin, _MIGRATION_SECONDS / 2)
                yield connection
                await connection.commit()
            except BaseException:
                await connection.abandon()
                raise

    @asynccontextmanager
    async def _connection(self, turn_by: float, deadline: float) -> AsyncIterator[Connection]:
        if self._raw is None:
            raise DatabaseUnavailable("the database is closed; this program is starting or stopping")
        try:
            async with asyncio.timeout_at(turn_by):
                await self._turn.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("the database was busy with other transactions all the time; try again") from None
        try:
            yield SqliteConnection(self._raw, deadline)
        finally:
            self._turn.release()


class SqliteConnection:
    """The one connection during one transaction. Its thread runs calls in order, also those nobody waits for any more:
    a rollback that follows a cancelled call therefore runs after it and before the next transaction."""

    def __init__(self, raw: aiosqlite.Connection, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    async def begin(self) -> None:
        """Take the write lock."""
        await self.execute("BEGIN IMMEDIATE")

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        """Run one statement."""
        with _translated():
            async with self._bounded():
                cursor = await self._raw.execute(statement, values or {})
                rows = [dict(row) for row in await cursor.fetchall()] if cursor.description else []
            return Result(rows, max(0, cursor.rowcount), cursor.lastrowid or 0)

    async def commit(self) -> None:
        """Sync the transaction to the disk."""
        refuse_late_commit(asyncio.get_running_loop().time(), self._deadline)
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._raw.commit()
        except TimeoutError:
            raise CommitUnknown("the database did not answer the commit in time") from None
        except sqlite3.Error as error:
            raise CommitUnknown(f"the commit failed: {error}; check the disk of the database file") from error

    async def abandon(self) -> None:
        """Roll back if there is anything to roll back."""
        with suppress(TimeoutError, sqlite3.Error):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._raw.rollback()

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(self._deadline):
                yield
        except TimeoutError:
            await self._raw.interrupt()
            raise DatabaseUnavailable("the database did not answer in time; check the disk of its file") from None


async def _patiently(step: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Run the step, again and again for `seconds` while another program holds the lock."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            await step()
            return
        except _Locked:
            if loop.time() >= until:
                raise
        await asyncio.sleep(_BUSY_PAUSE_SECONDS)


def _has_folder(path: str) -> bool:
    return Path(path).absolute().parent.is_dir()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _DUPLICATE:
            raise Duplicate(str(error)) from error
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            raise _Locked(f"the database cannot serve now: {error}") from error
        if code & 0xFF in _UNAVAILABLE:
            raise DatabaseUnavailable(f"the database cannot serve now: {error}") from error
        raise StatementFailed(str(error)) from error
    except (OverflowError, UnicodeError) as error:
        raise StatementFailed(str(error)) from error
