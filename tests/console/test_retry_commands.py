"""`funai retry`, and `funai deploy` for an app that is busy, against the real control plane."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.jobs import JobStatus, JobView
from tests.console.plane_server import Served, seed, served
from tests.console.test_one_shot import clean, funai


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        yield plane


@pytest.fixture
def jobs(plane: Served) -> dict[str, str]:
    """20001 is running, 20002 has failed, 20003 is pending."""
    return asyncio.run(seed(plane))


def view(plane: Served, job_id: str) -> JobView:
    async def get() -> JobView:
        admin = plane.admin()
        async with admin.transport:
            return await admin.get(job_id)

    return asyncio.run(get())


def test_a_busy_app_is_waited_for_with_supersede(plane: Served, jobs: dict[str, str]) -> None:
    assert funai(plane.environ, "deploy", "20001").returncode == 4
    behind = funai(plane.environ, "deploy", "20001", "--supersede")
    assert (behind.returncode, behind.stderr) == (0, b"")
    made = view(plane, behind.stdout.decode().strip())
    assert made.status is JobStatus.PENDING and made.waiting_for is not None
    assert jobs["20001"] in made.waiting_for.message
    assert view(plane, jobs["20001"]).status is JobStatus.RUNNING

    newest = funai(plane.environ, "deploy", "20001", "--cancel-running")
    assert newest.returncode == 0, newest.stderr
    for gone in (made.id, jobs["20001"]):
        assert view(plane, gone).superseded_by == newest.stdout.decode().strip()
    listed = funai(plane.environ, "jobs").stdout.decode()
    assert f"superseded by {newest.stdout.decode()[:8]}" in listed


def test_retry_of_a_failed_job_by_the_beginning_of_its_id(plane: Served, jobs: dict[str, str]) -> None:
    done = funai(plane.environ, "retry", jobs["20002"][:8])
    assert (done.returncode, done.stderr) == (0, b"")
    made = view(plane, done.stdout.decode().strip())
    assert (made.status, made.retry_of, made.app_id) == (JobStatus.PENDING, jobs["20002"], "20002")

    busy = funai(plane.environ, "retry", jobs["20002"])
    assert (busy.returncode, busy.stdout) == (4, b"") and b"busy" in busy.stderr
    again = funai(plane.environ, "retry", jobs["20002"], "--supersede")
    assert again.returncode == 0
    assert view(plane, made.id).superseded_by == again.stdout.decode().strip()


def test_what_cannot_be_retried_is_said_in_one_line(plane: Served, jobs: dict[str, str]) -> None:
    running = funai(plane.environ, "retry", jobs["20001"])
    assert running.returncode == 4 and running.stdout == b""
    assert running.stderr.decode().startswith(f"funai: job {jobs['20001']} was not retried: ")
    assert len(running.stderr.splitlines()) == 1
    assert funai(plane.environ, "retry", "ffffffff").returncode == 1
    assert funai(plane.environ, "retry", "../../admin").returncode == 2
    assert funai(plane.environ, "retry").returncode == 2


def test_following_a_job_that_is_superseded_ends_and_names_its_successor(plane: Served, jobs: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "console", "retry", jobs["20002"], "--follow"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ)) as child:
        assert child.stdout is not None and child.stderr is not None
        followed = child.stdout.readline().decode().strip()
        newer = funai(plane.environ, "deploy", "20002", "--supersede")
        try:
            assert child.wait(90) == 1
        finally:
            child.kill()
        said = f"funai: job {followed[:8]} CANCELLED: superseded by {newer.stdout.decode()[:8]}\n"
        assert child.stderr.read().decode() == said
