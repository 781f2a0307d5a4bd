"""A database whose disk really is full: MariaDB's data lies on a small file system of its own."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pymysql
import pytest

from protocol import headers
from tests.http.deploy.plane import ENVIRONMENT
from tests.support import real
from tests.support.replicas import ReplicaProcess
from tests.support.small_disk import small_disk

# The server looks once a minute whether there is space again.
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
_DISK_MB = 192
#: The server's files are small, so that a few hundred jobs fill what is left.
_SMALL = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", "--innodb-data-file-path=ibdata1:4M:autoextend")
_MOST_JOBS = 3000
#: A control plane answers within its three seconds; a client that waits longer than this was left hanging.
_PATIENCE_SECONDS = 10.0


@pytest.fixture
def disk(real_parts: Path) -> Iterator[Path]:
    with small_disk(real_parts / "dd", _DISK_MB) as point:
        yield point


@pytest.fixture
def plane(disk: Path, tmp_path: Path) -> Iterator[ReplicaProcess]:
    with real.mariadb(disk / "db", *_SMALL) as server:
        address = httpx.URL(server)
        with pymysql.connect(
            host="127.0.0.1", port=address.port or 0, user="root", password=address.password
        ) as connection:
            connection.cursor().execute("CREATE DATABASE funai")
        replica = ReplicaProcess(tmp_path, 0, f"{server}/funai")
        replica.start()
        try:
            replica.wait_ready()
            yield replica
        finally:
            replica.stop()


def _create(client: httpx.Client, number: int) -> httpx.Response:
    payload = {"userId": 1, "appId": f"app-{number}", "image": "busybox:1.36", "note": "x" * 20_000}
    return client.post("/deploy/jobs", json={"type": "BUILD_AND_DEPLOY", "payload": payload})


def _fill(point: Path, leave_mb: int) -> Path:
    """A file that takes all of the disk but so much."""
    filler, room = point / "filler", os.statvfs(point)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave_mb * 1024**2)
    return filler


def test_what_a_full_disk_cannot_take_is_refused_and_nothing_acknowledged_is_lost(
    disk: Path, plane: ReplicaProcess
) -> None:
    secret = {headers.DEPLOY_SECRET: str(ENVIRONMENT["DEPLOY_PROXY_AUTH_SHARED_SECRET"])}
    with httpx.Client(
        base_url=plane.url, headers=secret, trust_env=False, verify=False, timeout=_PATIENCE_SECONDS
    ) as client:
        filler = _fill(disk, 8)
        kept: list[str] = []
        for number in range(_MOST_JOBS):
            answer = _create(client, number)
            if answer.status_code != 200:
                break
            kept.append(answer.json()["data"]["id"])
        else:
            pytest.fail("the disk never filled up")
        assert answer.status_code == 503, answer.text
        assert kept

        # Answers go on in time, whatever they are: what is small may still fit. So does reading.
        for number in range(_MOST_JOBS, _MOST_JOBS + 3):
            answer = _create(client, number)
            assert answer.status_code in (200, 503), answer.text
            kept += [answer.json()["data"]["id"]] if answer.status_code == 200 else []
        assert client.get(f"/deploy/jobs/{kept[0]}").json()["data"]["id"] == kept[0]

        filler.unlink()
        more = itertools.count(2 * _MOST_JOBS)
        real.wait_until(
            lambda: _create(client, next(more)).status_code == 200, "a job after there was space again", 120
        )
        lost = [job for job in kept if client.get(f"/deploy/jobs/{job}").status_code != 200]
        assert lost == []
