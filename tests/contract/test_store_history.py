"""A database server that lacks what was acknowledged is refused until an operator goes on with it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pymysql
import pytest

from daemons.deploy.adapters.store import open_store, promote_store
from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.history import LEAP
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.kit.sql import DatabaseMisconfigured
from tests.contract.test_store import job
from tests.contract.test_store_faults import eventually_answers
from tests.support import real
from tests.support.moving_address import MovingAddress

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
NAME = "history"


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@contextmanager
def administrator(url: str) -> Iterator[pymysql.cursors.Cursor]:
    connection = pymysql.connect(
        host="127.0.0.1", port=port_of(url), user="root", password="tests-only", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A primary and a replica that follows it."""
    with (
        real.mariadb(tmp_path / "a", "--server-id=1", "--log-bin=bin") as primary,
        real.mariadb(tmp_path / "b", "--server-id=2", "--log-bin=bin") as replica,
    ):
        with administrator(primary) as one:
            one.execute("RESET MASTER")
            one.execute(f"CREATE DATABASE {NAME}")
        with administrator(replica) as two:
            two.execute(
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port_of(primary)}, MASTER_USER='root', "
                "MASTER_PASSWORD='tests-only', MASTER_USE_GTID=slave_pos"
            )
            two.execute("START SLAVE")
        yield primary, replica


@asynccontextmanager
async def moving(primary: str) -> AsyncIterator[tuple[MovingAddress, Store]]:
    async with MovingAddress(port_of(primary)).listening() as address:
        url = f"mysql://root:tests-only@127.0.0.1:{address.port}/{NAME}"
        async with open_store(url) as store:
            yield address, store


async def order(store: Store, number: int) -> None:
    """A job with its event, as a request leaves it."""

    async def work(tx: Transaction) -> None:
        await tx.lock_app(f"app-{number}")
        assert await tx.next_fence(f"app-{number}") > 0
        assert await tx.insert_job(job(number, f"app-{number}"))
        await tx.append(NewEvent("job", "created", f"job-{number:04}", Actor("api"), "{}"))

    await store.transact(work)


def replicated(replica: str, number: int) -> bool:
    with administrator(replica) as cursor, suppress(pymysql.err.ProgrammingError):
        cursor.execute(f"SELECT COUNT(*) FROM {NAME}.fun_ai_deploy_job WHERE id = 'job-{number:04}'")
        return bool(cursor.fetchall() == ((1,),))
    return False


async def test_a_promoted_replica_is_refused_until_confirmed_and_the_old_primary_afterwards(
    servers: tuple[str, str], tmp_path: Path
) -> None:
    primary, replica = servers
    async with moving(primary) as (address, store):
        await order(store, 1)
        await asyncio.to_thread(real.wait_until, lambda: replicated(replica, 1), "the first job's replication")
        with administrator(replica) as cursor:
            cursor.execute("STOP SLAVE")
        await order(store, 2)
        process = int((tmp_path / "a" / "pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            address.move(port_of(replica))
            with pytest.raises(StoreUnavailable, match=r"not confirmed as the successor of id:1 .* promote"):
                await store.check()
            with pytest.raises(StoreUnavailable, match="not confirmed"):
                await order(store, 3)
            with pytest.raises(StoreUnavailable, match="not confirmed"):
                async with open_store(f"{replica}/{NAME}"):
                    pass
            assert (await promote_store(f"{replica}/{NAME}"))[0] == 2
            await eventually_answers(store)
            assert await store.transact(lambda tx: tx.next_fence("app-1")) > LEAP
            await order(store, 2)
            assert await store.transact(lambda tx: tx.next_fence("app-2")) > LEAP
            assert (await store.transact(lambda tx: tx.event_bounds()))[1] > LEAP
        finally:
            os.kill(process, signal.SIGCONT)
        address.move(port_of(primary))
        with pytest.raises(StoreUnavailable, match="old primary that came back"):
            await store.check()
        address.move(port_of(replica))
        await eventually_answers(store)


async def test_a_server_that_lost_its_end_is_refused(mysql_url: str) -> None:
    """As after a restored backup."""
    name = mysql_url.rsplit("/", 1)[1]
    async with open_store(mysql_url) as store:
        for number in (1, 2):
            await order(store, number)
        with administrator(mysql_url.rsplit("/", 1)[0]) as cursor:
            cursor.execute(f"DELETE FROM {name}.fun_ai_deploy_event ORDER BY seq DESC LIMIT 1")
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()", (name,)
            )
            for (session,) in cursor.fetchall():
                cursor.execute(f"KILL CONNECTION {session}")
        with pytest.raises(StoreUnavailable, match="acknowledged changes are missing"):
            await order(store, 3)
        assert await promote_store(mysql_url) == (2, 1)
        await eventually_answers(store)
        await order(store, 3)


async def test_a_file_is_not_promoted(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMisconfigured, match="nothing to promote"):
        await promote_store(f"sqlite:///{tmp_path}/deploy.db")
