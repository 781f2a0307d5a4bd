"""Upgrades of a control plane's database that holds jobs already, while the previous release may still be running."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pymysql
import pytest

from daemons.deploy.adapters.store import open_store
from daemons.kit.sql import read_migrations
from protocol.jobs import JobStatus
from tests.migrations.test_deploy_schema import FOLDER

#: As release 0001 wrote a job: its columns by name, and none that came later.
OLD_COLUMNS = {
    "type": "BUILD_AND_DEPLOY",
    "user_id": "1",
    "payload_json": '{"userId":"1","appId":"a"}',
    "attempt": 0,
    "not_before": 0,
    "log_length": 0,
    "create_time": 1000,
    "update_time": 1000,
    "version": 0,
}


class Server(Protocol):
    def execute(self, statement: str) -> object: ...


def statements(dialect: str, version: int) -> list[str]:
    migrations = read_migrations(FOLDER / "migrations", dialect)
    return list(next(each.statements for each in migrations if each.version == version))


def apply_first(server: Server, dialect: str) -> None:
    """The schema of the first release, as it recorded it."""
    for statement in statements(dialect, 1):
        server.execute(statement)
    server.execute(
        "CREATE TABLE fun_ai_schema_migration (component VARCHAR(32) NOT NULL, version INT NOT NULL, "
        "name VARCHAR(128) NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (component, version))"
    )
    server.execute("INSERT INTO fun_ai_schema_migration VALUES ('deploy', 1, '0001_pre_first_tables', 1)")


def insert_as_before(server: Server, job_id: str, status: str) -> None:
    columns = {"id": job_id, "app_id": f"app-{job_id}", "status": status, **OLD_COLUMNS}
    values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in columns.values())
    server.execute(f"INSERT INTO fun_ai_deploy_job ({', '.join(columns)}) VALUES ({values})")


async def statuses(url: str) -> dict[str, JobStatus]:
    async with open_store(url) as store:
        jobs = await store.transact(lambda tx: tx.newest_jobs(10))
        assert all(job.superseded_by is None and job.retry_of is None for job in jobs)
        return {job.id: job.status for job in jobs}


async def test_jobs_of_the_first_release_are_kept_and_it_may_still_write_on_sqlite(tmp_path: Path) -> None:
    path, url = tmp_path / "deploy.db", f"sqlite:///{tmp_path}/deploy.db"

    def before() -> None:
        with sqlite3.connect(path) as file:
            apply_first(file, "sqlite")
            insert_as_before(file, "one", "FAILED")
        file.close()

    def afterwards() -> None:
        with sqlite3.connect(path) as file:
            insert_as_before(file, "two", "PENDING")
        file.close()

    await asyncio.to_thread(before)
    assert await statuses(url) == {"one": JobStatus.FAILED}
    await asyncio.to_thread(afterwards)
    assert await statuses(url) == {"one": JobStatus.FAILED, "two": JobStatus.PENDING}


@pytest.fixture
def server(mariadb_url: str) -> "Iterator[pymysql.cursors.Cursor]":
    """A cursor in an empty database named `upgrade`."""
    found = re.fullmatch(r"mysql://(.*):(.*)@(.*):(\d+)", mariadb_url)
    assert found is not None
    user, password, host, port = found.groups()
    connection = pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE upgrade")
        cursor.execute("USE upgrade")
        yield cursor
        cursor.execute("DROP DATABASE upgrade")


@pytest.mark.real
async def test_jobs_of_the_first_release_are_kept_and_it_may_still_write_on_mariadb(
    server: "pymysql.cursors.Cursor", mariadb_url: str
) -> None:
    await asyncio.to_thread(apply_first, server, "mysql")
    await asyncio.to_thread(insert_as_before, server, "one", "FAILED")
    assert await statuses(f"{mariadb_url}/upgrade") == {"one": JobStatus.FAILED}
    await asyncio.to_thread(insert_as_before, server, "two", "PENDING")
    assert await statuses(f"{mariadb_url}/upgrade") == {"one": JobStatus.FAILED, "two": JobStatus.PENDING}


@pytest.mark.real
async def test_an_upgrade_that_was_killed_after_any_statement_is_finished_at_the_next_start(
    server: "pymysql.cursors.Cursor", mariadb_url: str
) -> None:
    second = await asyncio.to_thread(statements, "mysql", 2)
    for done in range(len(second) + 1):
        await asyncio.to_thread(server.execute, "DROP DATABASE upgrade")
        await asyncio.to_thread(server.execute, "CREATE DATABASE upgrade")
        await asyncio.to_thread(server.execute, "USE upgrade")
        await asyncio.to_thread(apply_first, server, "mysql")
        await asyncio.to_thread(insert_as_before, server, "one", "FAILED")
        for statement in second[:done]:
            await asyncio.to_thread(server.execute, statement)
        assert await statuses(f"{mariadb_url}/upgrade") == {"one": JobStatus.FAILED}
