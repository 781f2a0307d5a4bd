"""The event stream over two replicas on one real MariaDB: watchers that change over, numbers that commit late, readers
that do not read."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pymysql
import pytest

from daemons.deploy.domain.events import PATIENCE_SECONDS, Actor, NewEvent
from daemons.deploy.ports import Transaction
from protocol import headers
from tests.http.deploy.plane import TOKENS, Plane
from tests.http.deploy.test_replicas import two_planes

pytestmark = pytest.mark.real
_number = itertools.count(1)
INSERT = (
    "INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, body_json)"
    " VALUES (UNIX_TIMESTAMP() * 1000, 'app', %s, 'a1', 'test', 'null')"
)


@contextmanager
def connected(url: str) -> Iterator["pymysql.connections.Connection[pymysql.cursors.Cursor]"]:
    """A connection whose transactions end when the test says so."""
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 0,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.strip("/") or None,
    )
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def database_url(mariadb_url: str) -> Iterator[str]:
    """An empty database."""
    name = f"stream_{next(_number)}"
    with connected(mariadb_url) as server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


class Watcher:
    """A console that hangs up after some events and goes on at the other replica with the number it saw last."""

    def __init__(self, planes: tuple[Plane, Plane]) -> None:
        self._planes = itertools.cycle(planes)
        self.seen: list[int] = []

    async def follow(self, count: int) -> None:
        """Watch at the next replica until there are `count` more."""
        wanted = len(self.seen) + count
        stream = next(self._planes).admin.follow(self.seen[-1] if self.seen else 0)
        try:
            async for event in stream:
                seq = getattr(event, "seq", None)
                self.seen += [seq] if seq is not None else []
                if len(self.seen) >= wanted:
                    return
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def silent(self, seconds: float) -> bool:
        """Whether no more numbered event arrives at the next replica within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self.follow(1)
        except TimeoutError:
            return True
        return False


async def test_a_watcher_that_changes_over_misses_nothing_and_sees_nothing_twice(database_url: str) -> None:
    async with two_planes(database_url) as planes, asyncio.timeout(60):
        watcher = Watcher(planes)

        async def write(plane: Plane, name: str) -> None:
            for number in range(40):
                await plane.create(f"{name}{number}")

        async with asyncio.TaskGroup() as group:
            for plane, name in zip(planes * 2, "abcd", strict=True):
                group.create_task(write(plane, name))
            for _ in range(20):
                await watcher.follow(7)
        await watcher.follow(20)

        async def log(tx: Transaction) -> list[int]:
            return [event.seq for event in await tx.events_after(0, 1000)]

        assert watcher.seen == await planes[0].store.transact(log) and len(watcher.seen) == 160


async def test_what_commits_late_is_waited_for_however_late_at_every_replica(database_url: str) -> None:
    async with two_planes(database_url) as planes, asyncio.timeout(60):
        watcher = Watcher(planes)
        await planes[0].create("a0")
        await watcher.follow(1)
        with connected(database_url) as late, connected(database_url) as lost, late.cursor() as first:
            first.execute(INSERT, ("late",))
            await planes[0].create("a1")
            with lost.cursor() as second:
                second.execute(INSERT, ("lost",))
            await planes[1].create("a2")
            assert await watcher.silent(2 * PATIENCE_SECONDS) and await watcher.silent(2 * PATIENCE_SECONDS)
            lost.rollback()
            assert await watcher.silent(2 * PATIENCE_SECONDS) and await watcher.silent(2 * PATIENCE_SECONDS)
            late.commit()
        await watcher.follow(2)
        await watcher.follow(1)
        assert watcher.seen == [1, 2, 3, 5]


async def test_a_replica_that_starts_waits_for_what_was_open_before(database_url: str) -> None:
    async with two_planes(database_url) as (one, _), asyncio.timeout(60):
        await one.create("a0")
        with connected(database_url) as late, late.cursor() as cursor:
            cursor.execute(INSERT, ("late",))

            async def many(tx: Transaction) -> None:
                for _ in range(400):
                    await tx.append(NewEvent("app", "x", "a1", Actor("test"), "null"))

            await one.store.transact(many)
            async with two_planes(database_url) as planes:
                watcher = Watcher(planes)
                await watcher.follow(1)
                assert await watcher.silent(2 * PATIENCE_SECONDS)
                late.commit()
                await watcher.follow(401)
                assert watcher.seen == list(range(1, 403))


async def numbers(reader: asyncio.StreamReader) -> AsyncIterator[int | None]:
    while line := await reader.readline():
        if line.startswith(b"data:"):
            yield json.loads(line[5:]).get("seq")


async def test_a_reader_that_does_not_read_is_cut_off_and_goes_on_where_it_was(database_url: str) -> None:
    async with two_planes(database_url) as (one, two), asyncio.timeout(60):

        async def many(tx: Transaction) -> None:
            body = json.dumps({"appId": "a1", "lastError": "x" * 60_000})
            for _ in range(20):
                await tx.append(NewEvent("app", "x", "a1", Actor("test"), body))

        await one.create("a0")
        parts = urlsplit(one.url)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=100_000)
        proof = f"{headers.ADMIN_TOKEN}: {TOKENS['admin']}\r\n{headers.LAST_EVENT_ID}: 0\r\n"
        writer.write(f"GET /admin/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{proof}\r\n".encode())
        first = [await anext(aiter(numbers(reader)))]
        quick = Watcher((one, two))
        while "dropped_total 1.0" not in (await one.http.get("/metrics")).text:
            await one.store.transact(many)
            await quick.follow(20)
        total = quick.seen[-1] if quick.seen[-1] % 20 == 1 else quick.seen[-1] // 20 * 20 + 1
        seen = [seq for seq in first if seq is not None]
        async for seq in numbers(reader):
            seen += [seq] if seq is not None else []
        writer.close()
        assert seen == list(range(1, len(seen) + 1)) and len(seen) < total
        again = Watcher((two, one))
        again.seen = seen
        await again.follow(total - len(seen))
        assert again.seen == list(range(1, total + 1))
