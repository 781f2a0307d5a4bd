"""Named SQL over SQLite or MySQL with one code path: statements from `.sql` files, transactions, migrations.

    queries = load_queries(Path(__file__).parent)         # apps.sql, apps.mysql.sql, apps.sqlite.sql, users.sql, ...
    async with open_database("sqlite:///api.db", queries) as database:
        await migrate(database, "api", Path(__file__).parent / "migrations")

        async def rename(session: Session) -> bool:
            return await session.change("rename_app", id="7", name="shop") == 1

        renamed = await database.transact(rename)

A `.sql` file is a list of `-- name --`, a comment that says what the statement is for, and the statement with `:name`
parameters (a list or tuple fills `IN (:names)`; it must not be empty). A dialect's file replaces statements of the
shared one. What only MySQL understands fits the shared file inside `/*! ... */`: MySQL runs it, SQLite skips it.
Bytes go into binary columns, on MySQL as `UNHEX(:name)`. Times are epoch milliseconds in BIGINT columns.
Migrations are `NNNN_pre_what.sql` or `NNNN_post_what.sql` (`pre`: the previous release still works after it), with
`.mysql.sql` and `.sqlite.sql` where the dialects differ; a statement ends with `;` at the end of a line.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from daemons.kit.database import (
    CommitUnknown,
    Conflicted,
    Connection,
    ConnectionLost,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Driver,
    Duplicate,
    Guard,
    Lane,
    Result,
    Row,
    StatementFailed,
    Value,
    Values,
)
from daemons.kit.mysql import MysqlAddress, MysqlDriver
from daemons.kit.sqlite import SqliteDriver
from daemons.kit.statements import expanded, numbered, only_plain, repeated

__all__ = [
    "CommitUnknown",
    "Database",
    "DatabaseMisconfigured",
    "DatabaseUnavailable",
    "Duplicate",
    "Queries",
    "Row",
    "SchemaTooNew",
    "Session",
    "StatementFailed",
    "load_queries",
    "migrate",
    "open_database",
]

DIALECTS: Final = ("mysql", "sqlite")
TRANSACTION_SECONDS: Final = 3.0
POOL_SIZE: Final = 16
URGENT_SIZE: Final = 4
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5
_NAME_LINE: Final = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)
_COMMENT_LINE: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)
_MIGRATION: Final = re.compile(r"(\d{4})_(pre|post)_[a-z0-9_]+")
_SCHEMA_TABLE: Final = """
CREATE TABLE IF NOT EXISTS fun_ai_schema_migration (
    component VARCHAR(32) NOT NULL,
    version INT NOT NULL,
    name VARCHAR(128) NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (component, version)
)"""

logger = logging.getLogger(__name__)
T = TypeVar("T")
_random = secrets.SystemRandom()


class SchemaTooNew(DatabaseMisconfigured):
    """A newer program has already migrated this database."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Named statements, by dialect and name, as written."""

    texts: Mapping[str, Mapping[str, str]]


def load_queries(folder: Path) -> Queries:
    """The statements of every `<topic>.sql` in the folder, with the overrides of the `<topic>.mysql.sql` and
    `<topic>.sqlite.sql` beside it; a name belongs to one topic.

    Reads files: call it while a module is loaded, not inside the event loop. Raises ValueError for a malformed file.
    """
    texts: dict[str, dict[str, str]] = {dialect: {} for dialect in DIALECTS}
    for path in sorted(folder.glob("*.sql")):
        topic, _, dialect = path.name.removesuffix(".sql").partition(".")
        if dialect:
            continue
        shared = _named(path)
        for each, known in texts.items():
            statements = shared | _named(folder / f"{topic}.{each}.sql")
            if taken := known.keys() & statements.keys():
                raise ValueError(f"{path.name}: {min(taken)} is a statement of another file, too")
            known.update(statements)
    return Queries(texts)


class Session:
    """One open transaction. Every method runs one named statement with its `:parameters` as keywords.

    All raise DatabaseUnavailable when the database does not answer in time.
    """

    def __init__(self, connection: Connection, driver: Driver, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._driver = driver
        self._statements = statements

    async def rows(self, query: str, /, **values: Value | Sequence[str] | Sequence[int]) -> Sequence[Row]:
        """Every row, as mappings from column to value."""
        return (await self.execute(query, values)).rows

    async def row(self, query: str, /, **values: Value | Sequence[str] | Sequence[int]) -> Row | None:
        """The first row, if any."""
        found = (await self.execute(query, values)).rows
        return found[0] if found else None

    async def change(self, query: str, /, **values: Value | Sequence[str] | Sequence[int]) -> int:
        """How many rows the statement changed. Raises Duplicate when a unique index refuses; the transaction lives on.

        MySQL does not count rows that already held the new values, and counts 2 for an upsert that updated.
        """
        return (await self.execute(query, values)).changed

    async def insert(self, query: str, /, **values: Value | Sequence[str] | Sequence[int]) -> int:
        """The number generated for the new row, or what RETURNING answers first. Raises Duplicate like `change`."""
        result = await self.execute(query, values)
        return int(next(iter(result.rows[0].values()))) if result.rows else result.generated

    async def now(self) -> int:
        """The database's clock in epoch milliseconds."""
        return int((await self._connection.execute(self._driver.clock)).rows[0]["now"])

    async def execute(self, query: str, values: Values) -> Result:
        """The whole result of one statement."""
        statement = self._statements[query]
        if any(isinstance(value, list | tuple) for value in values.values()):
            return await self._send(query, *expanded(statement, values))
        return await self._send(query, statement, only_plain(values))

    async def execute_each(self, query: str, rows: Sequence[Values]) -> Result:
        """Run the statement once for all rows: what it says of one row is repeated, as `statements.repeated` does."""
        return await self._send(query, repeated(self._statements[query], len(rows)), numbered(rows))

    def writes(self, query: str) -> bool:
        """Whether the statement changes anything."""
        return not self._statements[query].startswith(("SELECT", "WITH"))

    async def _send(self, query: str, statement: str, values: Mapping[str, Value]) -> Result:
        try:
            return await self._connection.execute(self._driver.placeholders(statement), values)
        except StatementFailed as error:
            raise StatementFailed(f"statement {query} failed: {error}") from error


class Database:
    """An open database. Made by `open_database`.

    `urgent` is the same database over a few connections of its own, for what must not wait behind other work.
    """

    def __init__(
        self, driver: Driver, queries: Queries, seconds: float = TRANSACTION_SECONDS, lane: Lane = Lane.COMMON
    ) -> None:
        self.driver = driver
        self.urgent = self if lane is Lane.URGENT else Database(driver, queries, seconds, Lane.URGENT)
        self._statements = queries.texts[driver.dialect]
        self._seconds = seconds
        self._lane = lane

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit; any exception of `work` rolls back and is passed on.

        After a deadlock, a lock timeout or a lost connection `work` runs again from the start, so it must do nothing
        but read and write through its session. All of it together ends in time. Raises DatabaseUnavailable (nothing was
        changed) and its kind CommitUnknown (the commit failed on the way: it may have happened).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        longest, reconnected = _FIRST_PAUSE, False
        while True:
            try:
                return await self._once(work, deadline)
            except Conflicted as error:
                reason = str(error)
            except ConnectionLost as error:
                if reconnected:
                    raise
                reason, reconnected = str(error), True
            pause = _random.uniform(longest / 2, longest)
            if loop.time() + pause >= deadline:
                raise DatabaseUnavailable(f"the transaction met others' locks all the time: {reason}; try again later")
            await asyncio.sleep(pause)
            longest = min(_LONGEST_PAUSE, longest * 2)

    async def check(self) -> None:
        """Raises DatabaseUnavailable unless the database answers now."""
        await self.now()

    async def now(self) -> int:
        """The database's clock, epoch milliseconds. Raises DatabaseUnavailable."""
        return await self.transact(_ask_the_time)

    async def _once(self, work: Callable[[Session], Awaitable[T]], deadline: float) -> T:
        async with self.driver.connection(deadline, self._lane) as connection:
            try:
                await connection.begin()
                result = await work(Session(connection, self.driver, self._statements))
                await connection.commit()
            except BaseException:
                await connection.abandon()
                raise
            return result


@asynccontextmanager
async def open_database(
    url: str,
    queries: Queries,
    *,
    pool_size: int = POOL_SIZE,
    urgent_size: int = URGENT_SIZE,
    transaction_seconds: float = TRANSACTION_SECONDS,
    guard: Guard | None = None,
) -> AsyncIterator[Database]:
    """Open `sqlite:///PATH`, `sqlite:///:memory:` or `mysql://USER:PASSWORD@HOST:PORT/NAME` for the block.

    Raises DatabaseMisconfigured for a URL or server settings that must be mended, DatabaseUnavailable when nobody
    answers. `transaction_seconds` bounds every transaction with all its waits and repetitions; `pool_size` and
    `urgent_size` the connections to a server; `guard` looks into each new one.
    """
    driver = _driver(url, {Lane.COMMON: pool_size, Lane.URGENT: urgent_size}, transaction_seconds, guard)
    try:
        await driver.start()
        yield Database(driver, queries, transaction_seconds)
    finally:
        await driver.close()


async def migrate(database: Database, component: str, folder: Path) -> int:
    """Apply the component's migrations that are missing, under the schema lock; how many were applied.

    Raises SchemaTooNew, before anything is changed, when the database knows a version that `folder` does not.
    """
    known = await asyncio.to_thread(read_migrations, folder, database.driver.dialect)
    async with database.driver.migrating() as connection:
        await connection.execute(_SCHEMA_TABLE)
        applied = await _applied(connection, database.driver, component)
        newest = max((migration.version for migration in known), default=0)
        if max(applied, default=0) > newest:
            raise SchemaTooNew(
                f"the database schema of {component} is at version {max(applied)} and this program knows versions up "
                f"to {newest}; start the newer program that migrated it, or restore the backup made before"
            )
        missing = [migration for migration in known if migration.version not in applied]
        for migration in missing:
            await _apply(connection, database.driver, component, migration)
    return len(missing)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of a component's schema."""

    version: int
    name: str
    statements: Sequence[str]


def read_migrations(folder: Path, dialect: str) -> Sequence[Migration]:
    """The migrations of a folder for one dialect, in order. Raises ValueError for a gap or a name out of shape."""
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.sql")):
        name, _, other = path.name.removesuffix(".sql").partition(".")
        if not _MIGRATION.fullmatch(name):
            raise ValueError(f"{path.name} is no migration; name it NNNN_pre_what.sql or NNNN_post_what.sql")
        if other in ("", dialect) and (other or name not in files):
            files[name] = path
    found = [Migration(int(name[:4]), name, _statements(path)) for name, path in sorted(files.items())]
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations in {folder.name} must be numbered 0001, 0002, ... without gap or repetition")
    return found


def optional_moment(value: object) -> int | None:
    """Epoch milliseconds in a column that may be empty."""
    return None if value is None else int(str(value))


async def _ask_the_time(session: Session) -> int:
    return await session.now()


async def _applied(connection: Connection, driver: Driver, component: str) -> set[int]:
    statement = driver.placeholders("SELECT version FROM fun_ai_schema_migration WHERE component = :component")
    return {int(row["version"]) for row in (await connection.execute(statement, {"component": component})).rows}


async def _apply(connection: Connection, driver: Driver, component: str, migration: Migration) -> None:
    logger.info("migrating the database", extra={"component": component, "migration": migration.name})
    for statement in migration.statements:
        await connection.execute(statement)
    now = int((await connection.execute(driver.clock)).rows[0]["now"])
    statement = driver.placeholders("INSERT INTO fun_ai_schema_migration VALUES (:component, :version, :name, :now)")
    values: dict[str, Value] = {"component": component, "version": migration.version, "name": migration.name}
    await connection.execute(statement, {**values, "now": now})


def _driver(url: str, sizes: Mapping[Lane, int], seconds: float, guard: Guard | None) -> Driver:
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator and len(rest) > 1 and rest.startswith("/"):
        return SqliteDriver(rest[1:], seconds=seconds)
    if scheme in ("mysql", "mariadb"):
        return MysqlDriver(_mysql_address(url), sizes=sizes, seconds=seconds, guard=guard)
    raise DatabaseMisconfigured(
        "the database URL must be sqlite:///PATH, sqlite:///:memory: or mysql://USER:PASSWORD@HOST:PORT/NAME"
    )


def _mysql_address(url: str) -> MysqlAddress:
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError:
        raise DatabaseMisconfigured("the port in the database URL is not a number from 1 to 65535") from None
    name = unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not parts.username or not name or parts.query or parts.fragment:
        raise DatabaseMisconfigured(
            "the database URL must be mysql://USER:PASSWORD@HOST:PORT/NAME; escape special characters as %XX"
        )
    return MysqlAddress(parts.hostname, port, unquote(parts.username), unquote(parts.password or ""), name)


def _named(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    _, *parts = _NAME_LINE.split(path.read_text("utf-8"))
    named: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        statement = _COMMENT_LINE.sub("", text).strip()
        if name in named or not statement.endswith(";"):
            raise ValueError(f"{path.name}: {name} must be there once and end with a semicolon")
        named[name] = statement.removesuffix(";")
    return named


def _statements(path: Path) -> Sequence[str]:
    text = _COMMENT_LINE.sub("", path.read_text("utf-8"))
    return [statement.strip() for statement in _STATEMENT_END.split(text) if statement.strip()]
