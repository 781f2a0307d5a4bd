"""SQLite in memory without a thread: the same statements through the same store.

The driver of the product hands every statement to a thread, which costs more than the statement and makes the order of
steps a matter of chance. Its own behaviour is proven by the contract suite.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from daemons.deploy.adapters import store
from daemons.deploy.adapters.store import SqlStore
from daemons.kit.database import Connection, Duplicate, Lane, Result, StatementFailed, Value
from daemons.kit.sql import Database, load_queries

_FOLDER: Final = Path(store.__file__).parent / "sql"
_QUERIES: Final = load_queries(_FOLDER / "queries")
_SCHEMA: Final = (_FOLDER / "schema.sqlite.sql").read_text("utf-8")
_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_DUPLICATE: Final = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


class InlineSqlite:
    """A driver whose every call is done when it returns. `now` is its clock, in epoch milliseconds."""

    dialect = "sqlite"
    clock = "SELECT now()"

    def __init__(self, now: Callable[[], int]) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        self.raw.row_factory = _as_mapping
        self.raw.executescript(_SCHEMA)
        self.now = now
        self.raw.create_function("julianday", 1, lambda _: self.now() / 86_400_000 + 2440587.5)
        self._turn = asyncio.Lock()
        self._tables = _TABLE.findall(_SCHEMA)

    def empty(self) -> None:
        """Forget every row and every number given so far."""
        for table in self._tables:
            self.raw.execute(f"DELETE FROM {table}")
        self.raw.execute("DELETE FROM sqlite_sequence")

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """Close it."""
        self.raw.close()

    def placeholders(self, statement: str) -> str:
        """SQLite knows `:name` itself."""
        return statement

    def connection(self, deadline: float, lane: Lane = Lane.COMMON) -> AbstractAsyncContextManager[Connection]:
        """The one connection, when it is one's turn."""
        return self._connection()

    def migrating(self) -> AbstractAsyncContextManager[Connection]:
        """The schema is there from the beginning."""
        return self._connection()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._turn:
            yield _InlineConnection(self)


class _InlineConnection:
    def __init__(self, driver: InlineSqlite) -> None:
        self._driver = driver
        self._raw = driver.raw

    async def begin(self) -> None:
        self._raw.execute("BEGIN IMMEDIATE")

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        if statement is InlineSqlite.clock:
            return Result([{"now": self._driver.now()}])
        try:
            cursor = self._raw.execute(statement, values or {})
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) in _DUPLICATE:
                raise Duplicate(str(error)) from error
            raise StatementFailed(str(error)) from error
        rows = cursor.fetchall() if cursor.description else []
        return Result(rows, max(0, cursor.rowcount), cursor.lastrowid or 0)

    async def commit(self) -> None:
        self._raw.execute("COMMIT")

    async def abandon(self) -> None:
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")


def _as_mapping(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip([column[0] for column in cursor.description], row, strict=True))


def inline_store(driver: InlineSqlite) -> SqlStore:
    """The product's store over the driver."""
    return SqlStore(Database(driver, _QUERIES))
