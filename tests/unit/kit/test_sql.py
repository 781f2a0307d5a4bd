"""The SQL layer on its own: files, parameters, migrations, retries, and what happens to a cancelled transaction."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemons.kit.database import Conflicted, Connection, ConnectionLost, Lane, Result, Value
from daemons.kit.mysql import MysqlAddress, MysqlDriver
from daemons.kit.sql import (
    CommitUnknown,
    Database,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Duplicate,
    Queries,
    SchemaTooNew,
    Session,
    StatementFailed,
    load_queries,
    migrate,
    open_database,
    read_migrations,
)

QUERIES = Queries(
    {
        "sqlite": {
            "make": "CREATE TABLE thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE) STRICT",
            "add": "INSERT INTO thing (name) VALUES (:name)",
            "names": "SELECT name FROM thing ORDER BY id",
            "among": "SELECT name FROM thing WHERE name IN (:names) AND name <> ':names' ORDER BY id",
            "echo": "SELECT :value AS value",
            "wrong": "SELECT missing FROM thing",
        }
    }
)
MEMORY = "sqlite:///:memory:"


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with open_database(MEMORY, QUERIES) as opened:
        await opened.transact(lambda session: session.change("make"))
        yield opened


async def names(database: Database) -> list[str]:
    return [row["name"] for row in await database.transact(lambda session: session.rows("names"))]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


# Files


def test_a_dialects_file_replaces_statements_of_the_shared_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "queries.sql": "-- Top.\n\n-- both --\n-- What for.\nSELECT 1;\n\n-- own --\nSELECT 2\n  -- why\nFROM x;\n",
            "queries.mysql.sql": "-- own --\n-- Differs.\nSELECT 3;\n",
        },
    )
    queries = load_queries(tmp_path)
    assert queries.texts["mysql"] == {"both": "SELECT 1", "own": "SELECT 3"}
    assert queries.texts["sqlite"]["both"] == "SELECT 1"
    assert queries.texts["sqlite"]["own"].split() == ["SELECT", "2", "FROM", "x"]


@pytest.mark.parametrize("text", ["-- a --\nSELECT 1\n", "-- a --\nSELECT 1;\n-- a --\nSELECT 2;\n"])
def test_a_malformed_file_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"queries.sql": text})
    with pytest.raises(ValueError, match=r"queries\.sql: a must"):
        load_queries(tmp_path)


def test_topics_may_not_share_a_name(tmp_path: Path) -> None:
    write(tmp_path, {"a.sql": "-- x --\nSELECT 1;\n", "b.sql": "-- y --\nSELECT 1;\n\n-- x --\nSELECT 2;\n"})
    with pytest.raises(ValueError, match=r"b\.sql: x is a statement of another file"):
        load_queries(tmp_path)


# Parameters


async def test_rows_row_change_and_insert(database: Database) -> None:
    async def work(session: Session) -> list[object]:
        return [
            await session.insert("add", name="a"),
            await session.insert("add", name="b"),
            await session.row("names"),
            await session.row("among", names=["z"]),
            await session.change("add", name="c"),
        ]

    assert await database.transact(work) == [1, 2, {"name": "a"}, None, 1]


async def test_a_list_fills_in(database: Database) -> None:
    async def work(session: Session) -> list[str]:
        for name in ("a", "b", ":names", "c'"):
            await session.insert("add", name=name)
        return [row["name"] for row in await session.rows("among", names=("c'", "a", ":names"))]

    assert await database.transact(work) == ["a", "c'"]


async def test_an_empty_list_is_refused_before_it_becomes_a_syntax_error(database: Database) -> None:
    with pytest.raises(ValueError, match="empty"):
        await database.transact(lambda session: session.rows("among", names=[]))


async def test_bytes_come_back_and_other_values_are_refused(database: Database) -> None:
    rows = await database.transact(lambda session: session.rows("echo", value=b"\x00'\xff"))
    assert list(rows[0].values()) == [b"\x00'\xff"]
    with pytest.raises(TypeError, match="take text, numbers and bytes"):
        await database.transact(lambda session: session.rows("echo", value={"a": 1}))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**64, "\ud800"])
async def test_a_value_that_no_column_holds_is_a_failed_statement(database: Database, value: Value) -> None:
    with pytest.raises(StatementFailed, match="echo"):
        await database.transact(lambda session: session.rows("echo", value=value))


async def test_a_failed_statement_is_named(database: Database) -> None:
    with pytest.raises(StatementFailed, match="statement wrong failed: no such column"):
        await database.transact(lambda session: session.rows("wrong"))


def test_mysql_placeholders_leave_quoted_text_and_percent_signs_alone() -> None:
    driver = MysqlDriver(MysqlAddress("h", 1, "u", "p", "n"), sizes={}, seconds=1)
    statement = "SELECT ':a', '%', 'it''s :b', x::y, :c_1 % :d FROM t WHERE a=:c_1"
    assert driver.placeholders(statement) == (
        "SELECT ':a', '%%', 'it''s :b', x::y, %(c_1)s %% %(d)s FROM t WHERE a=%(c_1)s"
    )


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hidden-secret@h/n",
        "sqlite://deploy.db",
        "sqlite:///",
        "mysql://h/n",
        "mysql://u:hidden-secret@h:99999/n",
        "mysql://u:hidden-secret@h:3306/",
        "mysql://u:hidden-secret@h:3306/n?ssl=1",
        "",
    ],
)
async def test_an_address_out_of_shape_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseMisconfigured, match="database URL") as refused:
        async with open_database(url, QUERIES):
            pass
    assert "hidden-secret" not in str(refused.value)


def test_an_address_does_not_show_its_password() -> None:
    address = MysqlAddress("h", 3306, "u", "hidden-secret", "n")
    assert "hidden-secret" not in f"{address} {address!r}"


# Transactions


async def test_a_duplicate_leaves_the_transaction_alive(database: Database) -> None:
    async def work(session: Session) -> None:
        await session.insert("add", name="a")
        with pytest.raises(Duplicate):
            await session.insert("add", name="a")
        await session.insert("add", name="b")

    await database.transact(work)
    assert await names(database) == ["a", "b"]


async def test_an_exception_rolls_back(database: Database) -> None:
    async def work(session: Session) -> None:
        await session.insert("add", name="a")
        raise RuntimeError("of ours")

    with pytest.raises(RuntimeError, match="of ours"):
        await database.transact(work)
    assert await names(database) == []


async def test_cancelling_at_any_moment_leaves_nothing_open(database: Database) -> None:
    async def work(session: Session) -> None:
        for number in range(5):
            await session.insert("add", name=f"{number}")

    for turns in range(60):
        task = asyncio.get_running_loop().create_task(database.transact(work))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done = (await asyncio.gather(task, return_exceptions=True))[0] is None
        stored = await names(database)
        assert stored == (["0", "1", "2", "3", "4"] if stored else [])
        assert stored or not done
        if stored:
            break


class Scripted:
    """A driver and its connection, whose commits and statements end as the script says."""

    dialect = "sqlite"
    clock = ""

    def __init__(self, *, statements: list[Exception | None], commits: list[Exception | None]) -> None:
        self._statements = statements
        self._commits = commits
        self.abandoned = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def begin(self) -> None: ...

    def placeholders(self, statement: str) -> str:
        return statement

    @asynccontextmanager
    async def connection(self, deadline: float, lane: Lane = Lane.COMMON) -> AsyncIterator[Connection]:
        yield self

    def migrating(self) -> None:
        raise NotImplementedError

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        return self._end(self._statements)

    async def commit(self) -> None:
        self._end(self._commits)

    async def abandon(self) -> None:
        self.abandoned += 1

    def _end(self, script: list[Exception | None]) -> Result:
        error = script.pop(0) if script else None
        if error is not None:
            raise error
        return Result(changed=1)


def scripted(
    *, statements: list[Exception | None] | None = None, commits: list[Exception | None] | None = None
) -> tuple[Scripted, Database]:
    driver = Scripted(statements=statements or [], commits=commits or [])
    return driver, Database(driver, QUERIES, 0.2)  # type: ignore[arg-type]


async def test_a_conflict_is_rolled_back_and_run_again() -> None:
    driver, database = scripted(statements=[Conflicted("deadlock"), None, Conflicted("timeout")], commits=[])
    assert await database.transact(lambda session: session.change("add", name="a")) == 1
    assert driver.abandoned == 1
    _, again = scripted(commits=[Conflicted("refused at the commit")])
    assert await again.transact(lambda session: session.change("add", name="a")) == 1


async def test_endless_conflicts_end_as_unavailable() -> None:
    driver, database = scripted(statements=[Conflicted("deadlock")] * 99)
    with pytest.raises(DatabaseUnavailable, match="deadlock"):
        await database.transact(lambda session: session.change("add", name="a"))
    assert driver.abandoned > 1


async def test_a_lost_connection_is_replaced_once() -> None:
    _, database = scripted(statements=[ConnectionLost("gone")])
    assert await database.transact(lambda session: session.change("add", name="a")) == 1
    _, twice = scripted(statements=[ConnectionLost("gone"), ConnectionLost("gone again")])
    with pytest.raises(DatabaseUnavailable, match="gone again"):
        await twice.transact(lambda session: session.change("add", name="a"))


async def test_an_unknown_commit_is_never_run_again() -> None:
    runs = 0

    async def work(session: Session) -> None:
        nonlocal runs
        runs += 1

    _, database = scripted(commits=[CommitUnknown("who knows")])
    with pytest.raises(CommitUnknown):
        await database.transact(work)
    assert runs == 1


# Migrations


async def test_migrations_are_applied_in_order_and_once(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "0002_post_fill.sql": "INSERT INTO thing (name) VALUES ('a;b');\nINSERT INTO thing (name) VALUES ('c');\n",
            "0001_pre_make.sqlite.sql": f"-- Makes; it.\n{QUERIES.texts['sqlite']['make']};\n",
            "0001_pre_make.mysql.sql": "nonsense;\n",
        },
    )
    async with open_database(MEMORY, QUERIES) as database:
        assert await migrate(database, "test", folder) == 2
        assert await migrate(database, "test", folder) == 0
        assert await names(database) == ["a;b", "c"]


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = write(tmp_path, {"0001_pre_make.sql": f"{QUERIES.texts['sqlite']['make']};\nSELECT nonsense;\n"})
    async with open_database(MEMORY, QUERIES) as database:
        with pytest.raises(StatementFailed):
            await migrate(database, "test", folder)
        with pytest.raises(StatementFailed, match="no such table"):
            await names(database)


async def test_components_have_versions_of_their_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(one, {"0001_pre_a.sql": "CREATE TABLE a (x INT);\n", "0002_pre_b.sql": "CREATE TABLE b (x INT);\n"})
    write(two, {"0001_pre_c.sql": "CREATE TABLE c (x INT);\n"})
    async with open_database(MEMORY, QUERIES) as database:
        assert await migrate(database, "one", one) == 2
        assert await migrate(database, "two", two) == 1
        (one / "0002_pre_b.sql").unlink()
        with pytest.raises(SchemaTooNew, match="schema of one is at version 2"):
            await migrate(database, "one", one)


@pytest.mark.parametrize("name", ["1_pre_a.sql", "0001_a.sql", "0002_pre_a.sql", "0001_mid_a.sql"])
def test_a_migration_out_of_shape_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "SELECT 1;\n"})
    with pytest.raises(ValueError, match=r"NNNN_pre|numbered"):
        read_migrations(tmp_path, "sqlite")
