"""The past leads to the present: replaying the migrations of the control plane gives what schema.*.sql says."""

import asyncio
import re
import sqlite3
from pathlib import Path

import pymysql
import pytest

from daemons.deploy.adapters import store
from daemons.deploy.adapters.store import open_store
from daemons.kit.sql import read_migrations

FOLDER = Path(store.__file__).parent / "sql"


def present(dialect: str) -> list[str]:
    text = re.sub(r"^\s*--.*$", "", (FOLDER / f"schema.{dialect}.sql").read_text("utf-8"), flags=re.MULTILINE)
    return [statement.strip() for statement in re.split(r";[ \t]*$", text, flags=re.MULTILINE) if statement.strip()]


def past(dialect: str) -> list[str]:
    return [each for migration in read_migrations(FOLDER / "migrations", dialect) for each in migration.statements]


def versions(dialect: str) -> list[int]:
    return [each.version for each in read_migrations(FOLDER / "migrations", dialect)]


def sqlite_schema(statements: list[str]) -> dict[str, str]:
    database = sqlite3.connect(":memory:")
    for statement in statements:
        database.execute(statement)
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    database.close()
    return {name: re.sub(r" ?([(),]) ?", r"\1", " ".join(sql.split())) for name, sql in rows}


def mysql_schema(server: "pymysql.Connection[pymysql.cursors.Cursor]", name: str, statements: list[str]) -> list[str]:
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"USE {name}")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SHOW TABLES")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SHOW CREATE TABLE {table}")
            found.append(cursor.fetchall()[0][1])
        cursor.execute(f"DROP DATABASE {name}")
    return found


def test_on_sqlite_the_past_is_the_present() -> None:
    assert sqlite_schema(past("sqlite")) == sqlite_schema(present("sqlite"))


@pytest.mark.real
def test_on_mariadb_the_past_is_the_present(mariadb_url: str) -> None:
    found = re.fullmatch(r"mysql://(.*):(.*)@(.*):(\d+)", mariadb_url)
    assert found is not None
    user, password, host, port = found.groups()
    with pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=True) as server:
        assert mysql_schema(server, "past", past("mysql")) == mysql_schema(server, "present", present("mysql"))


def test_both_dialects_have_the_same_migrations_tables_and_columns() -> None:
    mysql, sqlite = (
        {
            (table[0], column)
            for statement in present(dialect)
            if (table := re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", statement))
            for column in re.findall(r"^    ([a-z]\w*) [A-Z]", statement, flags=re.MULTILINE)
        }
        for dialect in ("mysql", "sqlite")
    )
    assert mysql == sqlite
    created = [each for each in past("mysql") if "CREATE TABLE" in each]
    assert len({table for table, _ in mysql}) == len(created)
    names = [[each.name for each in read_migrations(FOLDER / "migrations", dialect)] for dialect in ("mysql", "sqlite")]
    assert names[0] == names[1]


async def test_programs_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deploy.db"

    async def start() -> None:
        async with open_store(url) as opened:
            await opened.check()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(start())

    with sqlite3.connect(tmp_path / "deploy.db") as file:
        rows = file.execute("SELECT component, version FROM fun_ai_schema_migration").fetchall()
    file.close()
    assert rows == [("deploy", number) for number in await asyncio.to_thread(versions, "sqlite")]


@pytest.mark.real
async def test_replicas_that_start_at_once_migrate_once(mariadb_url: str) -> None:
    found = re.fullmatch(r"mysql://(.*):(.*)@(.*):(\d+)", mariadb_url)
    assert found is not None
    user, password, host, port = found.groups()
    server = pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute("CREATE DATABASE replicas")

        async def start() -> None:
            async with open_store(f"{mariadb_url}/replicas") as opened:
                await opened.check()

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(start())

        cursor.execute("SELECT component, version FROM replicas.fun_ai_schema_migration")
        assert cursor.fetchall() == tuple(("deploy", number) for number in await asyncio.to_thread(versions, "mysql"))
        cursor.execute("DROP DATABASE replicas")


@pytest.mark.real
async def test_a_migration_that_was_killed_half_way_is_finished_at_the_next_start(mariadb_url: str) -> None:
    found = re.fullmatch(r"mysql://(.*):(.*)@(.*):(\d+)", mariadb_url)
    assert found is not None
    user, password, host, port = found.groups()
    server = pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute("CREATE DATABASE half")
        cursor.execute("USE half")
        for statement in (await asyncio.to_thread(past, "mysql"))[:3]:
            cursor.execute(statement)
        async with open_store(f"{mariadb_url}/half") as opened:
            assert await opened.transact(lambda tx: tx.nodes()) == []
        cursor.execute("DROP DATABASE half")
