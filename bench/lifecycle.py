"""What one job costs the control plane from create to report, and how fast it finds one of many waiting runners.

A job is four requests with their durable commits: create, claim, heartbeat, report. The peer is a bare aiohttp echo,
in a process of its own as well, called by the same client with as many connections in the same run. Then 200 runners
wait and jobs are created one at a time.

The database is a SQLite file, or with FUNAI_BENCH_DB=mysql://USER:PASSWORD@HOST:PORT a new one on that server.
"""

import asyncio
import itertools
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiohttp
import orjson
import pymysql
import uvloop
from aiohttp import web

from bench.figures import Figure, median, percentile, show
from bench.pickup import resident_mb
from protocol import headers

#: Runners, submitters and jobs of each run.
LOADS = ((16, 8, 2000), (200, 64, 4000))
REQUESTS_PER_JOB = 4
USERS = 50
ECHO_SECONDS = 3.0
PARKED = 200
PICKUPS = 300
PATIENCE_SECONDS = 120.0
TOKENS = ("DEPLOY_ADMIN_TOKEN", "DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_RUNNER_TOKEN", "DEPLOY_NODE_TOKEN")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running control plane."""

    url: str
    pid: int
    tokens: Mapping[str, str]


@dataclass
class Client:
    """A load client: one session, JSON in and out."""

    daemon: Daemon
    session: aiohttp.ClientSession
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def post(self, path: str, header: str, token: str, body: object) -> dict[str, object]:
        """The data of the answer, `{}` when there is none; ends the benchmark at the first refusal."""
        proof = {header: self.daemon.tokens[token], "Content-Type": "application/json"}
        async with self.session.post(self.daemon.url + path, data=orjson.dumps(body), headers=proof) as answer:
            content = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path} was answered {answer.status}: {content[:500]!r}")
            return orjson.loads(content)["data"] or {}

    async def create(self) -> str:
        """A job of an app of its own, of one of the users in turn."""
        number = next(self.numbers)
        payload = {"userId": number % USERS + 1, "appId": f"app-{number}", "image": "busybox:1.36"}
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
        job = await self.post("/deploy/jobs", headers.DEPLOY_SECRET, "DEPLOY_PROXY_AUTH_SHARED_SECRET", body)
        return str(job["id"])

    async def claim(self, runner: str) -> dict[str, object]:
        """A job, waiting up to 20 s for one."""
        body = {"runnerId": runner, "leaseSeconds": 60, "waitSeconds": 20, "slots": 1}
        body["claimToken"] = secrets.token_hex(16)
        return await self.post("/deploy/jobs/claim", headers.RUNNER_TOKEN, "DEPLOY_RUNNER_TOKEN", body)

    async def finish(self, runner: str, job: Mapping[str, object], *, renew: bool = True) -> None:
        """One heartbeat, then the report."""
        proof = {"runnerId": runner, "leaseToken": job["leaseToken"]}
        path = f"/deploy/jobs/{job['id']}"
        if renew:
            beat = {**proof, "extendSeconds": 60, "phase": "DEPLOY"}
            await self.post(f"{path}/heartbeat", headers.RUNNER_TOKEN, "DEPLOY_RUNNER_TOKEN", beat)
        report = {**proof, "status": "SUCCEEDED"}
        await self.post(f"{path}/report", headers.RUNNER_TOKEN, "DEPLOY_RUNNER_TOKEN", report)


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    figures: list[Figure] = []
    with database() as url, control_plane(url) as daemon, echo_server() as echo:
        async with client(daemon) as load:
            await ready(load)
            for runners, submitters, jobs in LOADS:
                requests = REQUESTS_PER_JOB * await lifecycle(load, runners, submitters, jobs)
                bare = await echo_rate(load.session, echo, runners + submitters)
                peer = f"lifecycle requests ({requests / REQUESTS_PER_JOB:.0f} jobs/s), {runners} runners"
                figures.append(Figure("bare echo requests", bare, "/s", peer, requests, 2.0))
            waits = await pickups(load)
            figures += [
                Figure(f"create to claimed, {PARKED} waiting, median", median(waits), "ms", "limit", 6.0, 1.0),
                Figure(f"create to claimed, {PARKED} waiting, p99", percentile(waits, 0.99), "ms", "limit", 25.0, 1.0),
                Figure("control plane, resident", resident_mb(daemon.pid), "MB", "limit", 200.0, 1.0),
            ]
        kind = url.partition(":")[0]
    return show(f"a job's life on {kind}: create, claim, heartbeat, report", figures)


async def lifecycle(load: Client, runners: int, submitters: int, jobs: int) -> float:
    """Jobs per second from the first create to the last report."""
    run = Run(load, iter(range(jobs)), jobs, asyncio.Semaphore(2 * runners), asyncio.Event())
    started = time.perf_counter()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        tasks = [group.create_task(run.runner(f"r{number}")) for number in range(runners)]
        for _ in range(submitters):
            group.create_task(run.submitter())
        await run.ended.wait()
        elapsed = time.perf_counter() - started
        for task in tasks:
            task.cancel()
    return jobs / elapsed


@dataclass
class Run:
    """One load; `backlog` holds the submitters back when the runners do not keep up."""

    load: Client
    to_create: Iterator[int]
    to_end: int
    backlog: asyncio.Semaphore
    ended: asyncio.Event

    async def submitter(self) -> None:
        """Create jobs until there are enough."""
        for _ in self.to_create:
            await self.backlog.acquire()
            await self.load.create()

    async def runner(self, name: str) -> None:
        """Carry out jobs until cancelled."""
        while True:
            job = await self.load.claim(name)
            if not job:
                continue
            self.backlog.release()
            await self.load.finish(name, job)
            self.to_end -= 1
            if self.to_end == 0:
                self.ended.set()


async def pickups(load: Client) -> list[float]:
    """Milliseconds from just before a create is sent to the claim's answer, while PARKED runners wait."""
    answered: dict[str, asyncio.Future[float]] = {}
    loop = asyncio.get_running_loop()

    async def runner(name: str) -> None:
        while True:
            job = await load.claim(name)
            if job:
                at = time.perf_counter()
                answered.setdefault(str(job["id"]), loop.create_future()).set_result(at)
                await load.finish(name, job, renew=False)

    waits: list[float] = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(runner(f"p{number}")) for number in range(PARKED)]
        await asyncio.sleep(2)
        for _ in range(PICKUPS):
            await asyncio.sleep(0.02)
            started = time.perf_counter()
            job_id = await load.create()
            waits.append((await answered.setdefault(job_id, loop.create_future()) - started) * 1000)
        for task in tasks:
            task.cancel()
    return waits


async def echo_rate(session: aiohttp.ClientSession, url: str, connections: int) -> float:
    """Requests per second that this client gets from a handler that does nothing."""
    body = orjson.dumps({"runnerId": "r1", "leaseToken": "x" * 32, "extendSeconds": 60, "phase": "DEPLOY"})
    done = 0
    until = time.perf_counter() + ECHO_SECONDS

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                orjson.loads(await answer.read())
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(caller())
    return done / ECHO_SECONDS


@asynccontextmanager
async def client(daemon: Daemon) -> AsyncIterator[Client]:
    """A client with as many connections as it needs."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        yield Client(daemon, session)


async def ready(load: Client) -> None:
    """Wait until the control plane answers, and register a node."""
    for _ in range(200):
        try:
            async with load.session.get(f"{load.daemon.url}/internal/ready") as answer:
                if answer.status == 200:
                    break
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.1)
    else:
        raise SystemExit("the control plane did not become ready within 20 s")
    where = "http://127.0.0.1:1"
    beat = {"nodeName": "bench", "agentBaseUrl": where, "gatewayBaseUrl": where, "diskFreePct": 80.0}
    await load.post("/internal/runtime-nodes/heartbeat", headers.NODE_TOKEN, "DEPLOY_NODE_TOKEN", beat)


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new database, removed at the end of the block."""
    server = os.environ.get("FUNAI_BENCH_DB")
    if not server:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/deploy.db"
        return
    name = f"funai_bench_{secrets.token_hex(4)}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield f"{server.rstrip('/')}/{name}"
    finally:
        execute(server, f"DROP DATABASE {name}")


def execute(server: str, statement: str) -> None:
    """Run one statement on a database server."""
    parts = urlsplit(server)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def control_plane(url: str) -> Iterator[Daemon]:
    """A control plane of its own."""
    port = free_port()
    tokens = {name: secrets.token_urlsafe(32) for name in (*TOKENS, "RUNTIME_AGENT_TOKEN")}
    # The one node never calls again, and shall not count as gone during the run.
    settings = {
        "DEPLOY_DB_URL": url,
        "DEPLOY_PORT": str(port),
        "FUNAI_LOG_LEVEL": "WARNING",
        "DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": "3600",
    }
    with child([sys.executable, "-m", "daemons.deploy"], tokens | settings) as daemon:
        yield Daemon(f"http://127.0.0.1:{port}", daemon.pid, tokens)


@contextmanager
def echo_server() -> Iterator[str]:
    """The URL of a bare echo in a process of its own."""
    port = free_port()
    with child([sys.executable, "-m", "bench.lifecycle", "echo", str(port)], {}):
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def child(argv: list[str], environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A child process for the block."""
    process = subprocess.Popen(argv, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def echo(port: int) -> None:
    """Serve a bare echo until a signal."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/", answer)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    uvloop.install()
    if sys.argv[1:2] == ["echo"]:
        echo(int(sys.argv[2]))
        raise SystemExit(0)
    raise SystemExit(asyncio.run(main()))
