"""A Galera cluster whose writer is killed under traffic: the next node goes on, and nothing acknowledged is lost."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support import real
from tests.support.galera import Node, galera
from tests.support.replicas import ReplicaProcess, behind_gateway
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[tuple[str, Sequence[ReplicaProcess], Sequence[Node]]]:
    with galera(tmp_path) as (database, nodes):
        nodes[0].ask("CREATE DATABASE galera")
        with behind_gateway(tmp_path / "replicas", f"{database}/galera") as (url, replicas):
            yield url, replicas, nodes


def jobs_on(node: Node) -> set[str]:
    return {str(row[0]) for row in node.ask("SELECT id FROM galera.fun_ai_deploy_job")}


async def test_the_writer_may_be_killed(
    plane: tuple[str, Sequence[ReplicaProcess], Sequence[Node]],
) -> None:
    url, replicas, nodes = plane
    traffic = Traffic(url)
    async with traffic.flowing():
        await asyncio.to_thread(real.wait_until, lambda: len(traffic.succeeded) > 10, "the first jobs")
        await asyncio.to_thread(nodes[0].kill)
        before = len(traffic.succeeded)
        await asyncio.to_thread(real.wait_until, lambda: len(traffic.succeeded) > before + 10, "jobs on the next node")
        sessions = [
            len(node.ask("SELECT id FROM information_schema.processlist WHERE db = 'galera'")) for node in nodes[1:]
        ]
        assert sessions[0] > 0 and sessions[1] == 0
    assert traffic.violations() == []
    assert 500 not in traffic.refusals
    assert all(replica.ready() for replica in replicas)
    assert traffic.acknowledged.keys() <= jobs_on(nodes[1]) | traffic.succeeded
