"""Three control planes behind a gateway on one database: killed, paused and replaced under traffic."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pymysql
import pytest

from protocol import headers
from protocol.client.deploy import AdminClient
from protocol.client.transport import ClientError, Transport
from protocol.replicas import SingletonView
from tests.http.deploy.plane import TOKENS
from tests.support.eventually import eventually
from tests.support.replicas import ReplicaProcess, behind_gateway
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def plane(mariadb_url: str, tmp_path: Path) -> Iterator[tuple[str, Sequence[ReplicaProcess]]]:
    port = int(mariadb_url.rsplit(":", 1)[1])
    server = pymysql.connect(host="127.0.0.1", port=port, user="root", password="tests-only", autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute("CREATE DATABASE three")
        with behind_gateway(tmp_path / "replicas", f"{mariadb_url}/three") as running:
            yield running
        cursor.execute("DROP DATABASE three")


async def reaper(replica: ReplicaProcess) -> SingletonView:
    """Who reaps, as one replica sees it."""
    async with Transport(replica.url, {headers.ADMIN_TOKEN: TOKENS["admin"]}) as transport:
        return next(each for each in await AdminClient(transport).singletons() if each.name == "reaper")


def index_of(replicas: Sequence[ReplicaProcess], view: SingletonView) -> int:
    return [replica.pid for replica in replicas].index(int(view.holder.split(":")[1]))


async def taken_over(replica: ReplicaProcess, epoch: int) -> None:
    async def look() -> bool:
        try:
            found = await reaper(replica)
        except ClientError:
            return False
        return found.held and found.epoch > epoch

    await eventually(look)


async def test_nothing_is_lost_or_doubled_while_replicas_are_killed_paused_and_replaced(
    plane: tuple[str, Sequence[ReplicaProcess]],
) -> None:
    url, replicas = plane
    traffic = Traffic(url)
    async with traffic.flowing():
        for _ in range(2):
            before = await reaper(replicas[0])
            holder = index_of(replicas, before)
            await asyncio.to_thread(replicas[holder].kill)
            await taken_over(replicas[(holder + 1) % 3], before.epoch)
            replicas[holder].start()
            await asyncio.to_thread(replicas[holder].wait_ready)
        before = await reaper(replicas[0])
        holder = index_of(replicas, before)
        replicas[holder].signal(signal.SIGSTOP)
        await taken_over(replicas[(holder + 1) % 3], before.epoch)
        replicas[holder].signal(signal.SIGCONT)
        await asyncio.to_thread(replicas[holder].wait_ready)
        for replica in replicas:
            assert await asyncio.to_thread(replica.terminate) == 0
            replica.start()
            await asyncio.to_thread(replica.wait_ready)
    assert traffic.violations() == []
    assert len(traffic.acknowledged) > 50
    assert traffic.streams > 1
    assert 500 not in traffic.refusals
