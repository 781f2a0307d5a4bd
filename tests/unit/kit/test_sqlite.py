"""SQLite while other programs use the file, and while a start is called off."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from daemons.kit.database import DatabaseUnavailable
from daemons.kit.sqlite import SqliteDriver


@pytest.fixture
async def writer(tmp_path: Path) -> sqlite3.Connection:
    """Another program that holds the write lock of a file that is no write-ahead log yet."""
    other = sqlite3.connect(tmp_path / "shared.db", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE app (name TEXT)")
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_opening_waits_for_another_program_that_writes(tmp_path: Path, writer: sqlite3.Connection) -> None:
    driver = SqliteDriver(str(tmp_path / "shared.db"), seconds=5)
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(driver.start())
        await asyncio.wait({opening}, timeout=0.2)
        assert not opening.done()
        writer.close()
        await opening
    async with driver.connection(asyncio.get_running_loop().time() + 5) as connection:
        assert (await connection.execute("PRAGMA journal_mode")).rows == [{"journal_mode": "wal"}]
    await driver.close()


async def test_opening_gives_up_when_the_other_program_does_not_end(tmp_path: Path, writer: sqlite3.Connection) -> None:
    driver = SqliteDriver(str(tmp_path / "shared.db"), seconds=0.2)
    with pytest.raises(DatabaseUnavailable, match="locked"):
        await driver.start()
    await driver.close()
    writer.close()


@pytest.mark.parametrize("steps", range(6))
async def test_an_opening_that_is_called_off_leaves_no_thread(tmp_path: Path, steps: int) -> None:
    before = set(threading.enumerate())
    driver = SqliteDriver(":memory:", seconds=5)
    opening = asyncio.ensure_future(driver.start())
    for _ in range(steps):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    await driver.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
