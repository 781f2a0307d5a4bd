"""No-op jobs through Celery and through Prefect, on the machine and in the minutes in which our own are measured.

Each peer gets a virtual environment that is made for it by package name. Celery: prefork with two processes on a Redis
without durability, results ignored; jobs are counted from the first send to the last execution. Prefect: its server on
SQLite; a job is a flow run that is created and set Pending, Running and Completed by HTTP, four requests one after the
other, as its runner would. Ours is the lifecycle with 16 runners: four requests and their durable commits. A peer whose
packages or programs are not to be had is skipped, and said to be.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvloop

from bench.figures import Figure, show
from bench.lifecycle import lifecycle
from bench.load import load_on
from bench.servers import child, control_plane, free_port, mariadb, wait_for

RUNNERS, SUBMITTERS, JOBS = 16, 8, 2000
CELERY_JOBS, PREFECT_RUNS = 2000, 40
#: The share of our rate that a peer's may be: ours is wanted 1.5 times Celery's and 50 times Prefect's.
CELERY_MOST, PREFECT_MOST = 1 / 1.5, 1 / 50
_START_SECONDS, _PATIENCE_SECONDS = 90.0, 20.0

_TASKS = """
import os
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
counter = None


@app.task
def nothing():
    global counter
    if counter is None:
        import redis

        counter = redis.Redis.from_url(os.environ["BROKER"])
    counter.incr("done")
"""
_SEND = """
import os, sys, time
import redis
from tasks import nothing

counter, jobs = redis.Redis.from_url(os.environ["BROKER"]), int(sys.argv[1])


def carried_out(many):
    counter.set("done", 0)
    began = time.perf_counter()
    for _ in range(many):
        nothing.delay()
    while int(counter.get("done")) < many:
        if time.perf_counter() - began > 120:
            raise SystemExit("celery did not carry out its jobs within 120 s")
        time.sleep(0.002)
    return many / (time.perf_counter() - began)


carried_out(50)
print(carried_out(jobs))
"""


class NotToBeHad(Exception):
    """The peer cannot be installed or started here."""


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    ours = await our_rate()
    figures = []
    for name, measured, most in (
        ("Celery prefork on Redis, not durable", celery_rate, CELERY_MOST),
        ("Prefect's server on SQLite, serial", prefect_rate, PREFECT_MOST),
    ):
        try:
            rate = measured()
        except NotToBeHad as error:
            print(f"SKIPPED {name}: {error}")
            continue
        figures.append(Figure(name, rate, "jobs/s", f"ours on MariaDB, {RUNNERS} runners", ours, most))
    return show("no-op jobs a second, ours and others'", figures)


async def our_rate() -> float:
    """Jobs per second through our control plane."""
    with mariadb() as database, control_plane(database.url) as plane:
        async with load_on(plane) as load:
            await lifecycle(load, RUNNERS, SUBMITTERS, JOBS // 10)
            return await lifecycle(load, RUNNERS, SUBMITTERS, JOBS)


def celery_rate() -> float:
    """Jobs per second through Celery."""
    redis = shutil.which("redis-server")
    if redis is None:
        raise NotToBeHad("redis-server is not installed")
    # Celery and kombu import the last two without asking for them.
    with environment("celery", "redis", "packaging", "setuptools") as python:
        folder, port = python.parent.parent, free_port()
        (folder / "tasks.py").write_text(_TASKS)
        (folder / "send.py").write_text(_SEND)
        broker = {"BROKER": f"redis://127.0.0.1:{port}/0", "PYTHONPATH": str(folder)}
        serve = [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        work = [str(python), "-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "2", "-l", "ERROR"]
        with (folder / "log").open("wb") as log, child(serve, {}, log=log) as server:
            try:
                wait_for(port, server)
            except SystemExit as error:
                raise NotToBeHad(str(error)) from error
            with child([*work, "--without-gossip", "--without-mingle"], broker, log=log):
                return _measured([str(python), str(folder / "send.py"), str(CELERY_JOBS)], broker)


def prefect_rate() -> float:
    """Flow runs per second through Prefect's server."""
    # Later releases of fastapi refuse how Prefect 3 declares its bodies.
    with environment("prefect", "fastapi<0.120") as python:
        home, port = python.parent.parent, free_port()
        settings = {
            "PREFECT_HOME": str(home / "home"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "DO_NOT_TRACK": "1",
        }
        serve = [str(python), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with (home / "log").open("wb") as log, child([*serve, "--no-ui"], settings, log=log) as server:
            try:
                wait_for(port, server, seconds=_START_SECONDS)
                return _flow_runs(f"http://127.0.0.1:{port}/api")
            except (SystemExit, httpx.HTTPError) as error:
                raise NotToBeHad(f"its server does not answer as expected: {error}") from error


def _flow_runs(url: str) -> float:
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        _healthy(client)
        flow = _asked(client, "/flows/", {"name": "nothing"})
        began = time.perf_counter()
        for _ in range(PREFECT_RUNS):
            run = _asked(client, "/flow_runs/", {"flow_id": flow})
            for state in ("PENDING", "RUNNING", "COMPLETED"):
                _asked(client, f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": True})
        return PREFECT_RUNS / (time.perf_counter() - began)


def _asked(client: httpx.Client, path: str, body: object) -> str:
    """The id in the answer; asked again while Prefect answers 503, its database being locked by work of its own."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = client.post(path, json=body)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return str(answer.raise_for_status().json().get("id"))
        time.sleep(0.05)


def _healthy(client: httpx.Client) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"it is not healthy after {_START_SECONDS:g} s")


@contextmanager
def environment(*packages: str) -> Iterator[Path]:
    """The interpreter of a new virtual environment with these packages. Raises NotToBeHad."""
    with tempfile.TemporaryDirectory(prefix="funai-peer-", ignore_cleanup_errors=True) as folder:
        python = Path(folder) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        try:
            for argv in ([sys.executable, "-m", "venv", folder], install):
                subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            last = str(error.stderr or error).strip().rpartition("\n")[2]
            raise NotToBeHad(f"{', '.join(packages)} cannot be installed: {last}") from error
        yield python


def _measured(argv: list[str], settings: dict[str, str]) -> float:
    done = subprocess.run(argv, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise NotToBeHad(done.stderr.strip().rpartition("\n")[2])
    return float(done.stdout)


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
