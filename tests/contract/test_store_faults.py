"""The store when the database stops, restarts, is newer than we are, or is not ours."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiomysql
import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.kit.sql import DatabaseMisconfigured, SchemaTooNew, StatementFailed
from tests.contract.test_store import insert, job
from tests.support.real import wait_until


@pytest.fixture
async def server(mysql_url: str) -> AsyncIterator[aiomysql.Cursor]:
    """A cursor of the administrator's, in the test's database."""
    parts = urlsplit(mysql_url)
    connection = await aiomysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        db=parts.path[1:],
        autocommit=True,
    )
    yield await connection.cursor()
    await connection.ensure_closed()


async def ask(server: aiomysql.Cursor, statement: str) -> list[tuple[object, ...]]:
    await server.execute(statement)
    return list(await server.fetchall())


async def kill_others(server: aiomysql.Cursor) -> int:
    """End every other session of this test's database, as a restart would; how many."""
    sessions = await ask(
        server,
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    )
    for (number,) in sessions:
        await server.execute(f"KILL CONNECTION {number}")
    return len(sessions)


@asynccontextmanager
async def stopped(process: int) -> AsyncIterator[None]:
    """The process answers nothing during the block; a signal alone stops busy threads only later."""
    os.kill(process, signal.SIGSTOP)
    try:
        await asyncio.to_thread(wait_until, lambda: _states(process) == {"T"}, "the end of the last busy thread")
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def _states(process: int) -> set[str]:
    """The state letter of every thread."""
    threads = Path(f"/proc/{process}/task").glob("*/stat")
    return {thread.read_text().rpartition(")")[2].split()[0] for thread in threads}


async def eventually_answers(store: Store) -> None:
    for _ in range(400):
        with suppress(StoreUnavailable):
            return await store.check()
        await asyncio.sleep(0.05)
    pytest.fail("the store did not recover")


@pytest.mark.real
async def test_a_server_that_answers_nothing_is_unavailable_until_it_does(
    mysql_url: str, server: aiomysql.Cursor, real_parts: Path
) -> None:
    process = int((real_parts / "mariadb" / "pid").read_text())
    async with open_store(mysql_url, transaction_seconds=0.5) as store:
        async with stopped(process):
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await store.check()
            with pytest.raises(StoreUnavailable, match="a moment ago"):
                await store.transact(lambda tx: tx.now())

        await eventually_answers(store)


@pytest.mark.real
async def test_a_silent_server_keeps_nobody_waiting_longer_than_one_transaction_may_take(
    mysql_url: str, real_parts: Path
) -> None:
    """Four times as many callers as connections, and those that come later."""
    process = int((real_parts / "mariadb" / "pid").read_text())
    async with open_store(mysql_url, transaction_seconds=1) as store:
        await asyncio.gather(*(store.transact(lambda tx: tx.nodes()) for _ in range(16)))
        async with stopped(process), asyncio.timeout(4):
            calls = [store.transact(lambda tx: tx.nodes()) for _ in range(64)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
            with pytest.raises(StoreUnavailable, match=r"a moment ago|did not answer"):
                await store.urgent.check()
        await eventually_answers(store)


@pytest.mark.real
async def test_what_must_not_wait_does_not_wait_behind_everybody_else(mysql_url: str) -> None:
    """Every common connection is held by work that does not end, and more of it queues up."""
    release, held = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(tx: Transaction) -> None:
        await tx.nodes()
        held.release()
        await release.wait()

    async with open_store(mysql_url, pool_size=2) as store, asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(store.transact(slow))
            await held.acquire()
        flood = [group.create_task(store.transact(lambda tx: tx.nodes())) for _ in range(50)]
        for _ in range(20):
            assert await store.urgent.transact(lambda tx: tx.nodes()) == []
        assert not any(call.done() for call in flood)
        release.set()


@pytest.mark.real
async def test_a_server_that_takes_no_changes_is_unavailable_for_changes_alone(
    mysql_url: str, server: aiomysql.Cursor
) -> None:
    """As after a failover that made it a replica; an administrator would be let through."""
    await server.execute("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'tests-only'")
    await server.execute("GRANT ALL ON *.* TO plain@'127.0.0.1'")
    await server.execute("REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM plain@'127.0.0.1'")
    try:
        async with open_store(mysql_url.replace("root", "plain")) as store:
            await insert(store, job(1))
            await server.execute("SET GLOBAL read_only = 1")
            with pytest.raises(StoreUnavailable, match="takes no changes"):
                await insert(store, job(2))
            assert await store.transact(lambda tx: tx.job("job-0001")) is not None
            await server.execute("SET GLOBAL read_only = 0")
            await insert(store, job(2))
    finally:
        await server.execute("SET GLOBAL read_only = 0")
        await server.execute("DROP USER plain@'127.0.0.1'")


@pytest.mark.real
async def test_while_a_commit_is_stuck_in_the_server_nothing_else_is_written(
    mysql_url: str, server: aiomysql.Cursor
) -> None:
    """As with a full disk: each change would keep a session of the server; reading goes on.

    Here the server looks each full second whether the client still waits for the lock, and gives up if not: the client
    leaves in the middle of a second.
    """

    async def work(tx: Transaction) -> None:
        await tx.insert_job(job(1))
        await server.execute("FLUSH TABLES WITH READ LOCK")

    async with open_store(mysql_url, transaction_seconds=1.5) as store:
        try:
            with pytest.raises(OutcomeUnknown):
                await store.transact(work)
            for number in range(30):
                with pytest.raises(StoreUnavailable, match="has not finished 1 commits"):
                    await insert(store, job(number + 2))
            assert await store.transact(lambda tx: tx.nodes()) == []
            assert int((await ask(server, "SELECT COUNT(*) FROM information_schema.processlist"))[0][0]) < 20  # type: ignore[call-overload]
        finally:
            await server.execute("UNLOCK TABLES")
        for _ in range(400):
            with suppress(StoreUnavailable):
                await insert(store, job(2))
                break
            await asyncio.sleep(0.05)
        assert await store.transact(lambda tx: tx.job("job-0002")) is not None


@pytest.mark.real
async def test_a_server_that_stops_during_the_commit_leaves_the_outcome_unknown(
    mysql_url: str, server: aiomysql.Cursor, real_parts: Path
) -> None:
    process = int((real_parts / "mariadb" / "pid").read_text())
    async with open_store(mysql_url, transaction_seconds=1) as store, AsyncExitStack() as stack:

        async def work(tx: Transaction) -> None:
            await tx.insert_job(job(1))
            await stack.enter_async_context(stopped(process))

        with pytest.raises(OutcomeUnknown):
            await store.transact(work)


@pytest.mark.real
async def test_idle_connections_that_the_server_closed_are_replaced(mysql_url: str, server: aiomysql.Cursor) -> None:
    async with open_store(mysql_url) as store:
        await insert(store, job(1))
        assert await kill_others(server) > 0
        assert await store.transact(lambda tx: tx.job("job-0001")) is not None


@pytest.mark.real
async def test_a_connection_lost_half_way_runs_the_work_again(mysql_url: str, server: aiomysql.Cursor) -> None:
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        assert await tx.insert_job(job(1))
        if runs == 1:
            assert await kill_others(server) > 0
        await tx.lock_app("shop")

    async with open_store(mysql_url) as store:
        await store.transact(work)
        assert runs == 2
        assert len(await store.transact(lambda tx: tx.newest_jobs(10))) == 1


@pytest.mark.real
async def test_a_connection_lost_at_the_commit_is_never_run_again(mysql_url: str, server: aiomysql.Cursor) -> None:
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        assert await tx.insert_job(job(1))
        assert await kill_others(server) > 0

    async with open_store(mysql_url) as store:
        with pytest.raises(OutcomeUnknown):
            await store.transact(work)
        assert runs == 1


@pytest.mark.real
async def test_a_lock_timeout_undoes_the_whole_transaction(mysql_url: str, server: aiomysql.Cursor) -> None:
    """The server undoes only the statement that timed out; the first write must not survive on its own."""
    runs, again = 0, asyncio.Event()

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            again.set()
        await tx.next_fence("first")
        await tx.lock_app("second")

    async with open_store(mysql_url) as store:
        await store.transact(lambda tx: tx.lock_app("second"))
        await server.execute("BEGIN")
        await server.execute("SELECT * FROM fun_ai_deploy_app WHERE app_id = 'second' FOR UPDATE")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.transact(work))
            await again.wait()
            await server.execute("ROLLBACK")
            await task
        assert await store.transact(lambda tx: tx.next_fence("first")) == 2


async def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match=r"shop at 127\.0\.0\.1:1"):
        async with open_store("mysql://user:hidden-password@127.0.0.1:1/shop"):
            pass


@pytest.mark.real
async def test_a_wrong_password_says_what_to_check_without_repeating_it(mariadb_url: str) -> None:
    port = urlsplit(mariadb_url).port
    with pytest.raises(DatabaseMisconfigured, match="grants") as refused:
        async with open_store(f"mysql://root:hidden-password@127.0.0.1:{port}/none"):
            pass
    assert "hidden-password" not in str(refused.value)


@pytest.mark.real
async def test_a_server_that_loses_commits_is_refused(mysql_url: str, server: aiomysql.Cursor) -> None:
    await server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    try:
        with pytest.raises(DatabaseMisconfigured, match="innodb_flush_log_at_trx_commit"):
            async with open_store(mysql_url):
                pass
    finally:
        await server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.mark.real
async def test_a_server_that_may_lose_commits_is_warned_of(
    mysql_url: str, server: aiomysql.Cursor, caplog: pytest.LogCaptureFixture
) -> None:
    await server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        async with open_store(mysql_url):
            pass
    finally:
        await server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert [record.__dict__["variable"] for record in caplog.records if record.levelname == "WARNING"] == [
        "innodb_flush_log_at_trx_commit"
    ]


@pytest.mark.real
async def test_a_value_that_does_not_fit_is_an_error_and_not_cut_off(mysql_url: str) -> None:
    async with open_store(mysql_url) as store:
        with pytest.raises(StatementFailed, match=r"insert_job failed: .*Data too long"):
            await store.transact(lambda tx: tx.insert_job(job(1, "x" * 65)))


async def test_a_sqlite_file_survives_reopening(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deploy.db"
    async with open_store(url) as store:
        await insert(store, job(1))
        assert await store.transact(lambda tx: tx.next_fence("app-1")) == 1
    async with open_store(url) as store:
        assert await store.transact(lambda tx: tx.job("job-0001")) == job(1)
        assert await store.transact(lambda tx: tx.next_fence("app-1")) == 2


async def test_a_sqlite_file_is_written_ahead_and_synced(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/deploy.db") as store:
        await insert(store, job(1))
        assert (tmp_path / "deploy.db-wal").stat().st_size > 0


async def test_two_programs_share_a_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deploy.db"
    async with open_store(url) as one, open_store(url) as two, asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(one.transact(lambda tx: tx.next_fence("shop")))
            group.create_task(two.transact(lambda tx: tx.next_fence("shop")))
    async with open_store(url) as store:
        assert await store.transact(lambda tx: tx.next_fence("shop")) == 41


async def test_a_locked_sqlite_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "deploy.db"
    async with open_store(f"sqlite:///{path}", transaction_seconds=0.3) as store:
        other = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
        try:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await store.transact(lambda tx: tx.next_fence("shop"))
        finally:
            await asyncio.to_thread(other.close)
        await eventually_answers(store)


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMisconfigured, match="does not exist"):
        async with open_store(f"sqlite:///{tmp_path}/none/deploy.db"):
            pass


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deploy.db"
    async with open_store(f"sqlite:///{path}"):
        pass
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO fun_ai_schema_migration VALUES ('deploy', 999, '0999_pre_future', 1)")
    file.close()
    with pytest.raises(SchemaTooNew, match=r"version 999 .* start the newer program"):
        async with open_store(f"sqlite:///{path}"):
            pass


@pytest.mark.real
async def test_a_newer_schema_is_refused_on_a_server(mysql_url: str, server: aiomysql.Cursor) -> None:
    async with open_store(mysql_url):
        pass
    await server.execute("INSERT INTO fun_ai_schema_migration VALUES ('deploy', 999, '0999_pre_future', 1)")
    with pytest.raises(SchemaTooNew, match="version 999"):
        async with open_store(mysql_url):
            pass


@pytest.mark.real
async def test_tables_of_another_program_are_refused(mysql_url: str, server: aiomysql.Cursor) -> None:
    await server.execute("CREATE TABLE fun_ai_deploy_job (id VARCHAR(64) PRIMARY KEY, status VARCHAR(32))")
    with pytest.raises(DatabaseMisconfigured, match="not ours"):
        async with open_store(mysql_url):
            pass
