"""How long a line takes from the runner to those who read along, and what a look into a long log costs.

Two control planes on one MariaDB. A runner's own log and uploader bring a line every 20 ms to the first one; readers
follow at both. Then a log of 64 MiB is read at offsets of chance, against one of 1 MiB.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import aiohttp
import uvloop

from bench.figures import Figure, median, percentile, show
from bench.load import load_on
from bench.servers import control_planes, echo, mariadb
from daemons.kit.logs import Redactor
from daemons.runner.adapters.control_plane import HttpControlPlane
from daemons.runner.adapters.spools import FileSpool
from daemons.runner.domain.plan import Attempt, attempt_of
from daemons.runner.services.joblog import JobLog, LogUploader
from daemons.runner.services.pace import MachinePacer
from protocol import headers
from protocol.client.deploy import JobsClient
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.jobs import ClaimJob, CreateJob, JobPayload, JobType

LINES = 1000
EVERY_SECONDS = 0.02
READERS = 5
LIMIT_MS = 250.0
LONG_BYTES = 64 * 1024 * 1024 - 1
SHORT_BYTES = 1024 * 1024
LOOKS = 100
PIECE_BYTES = 256 * 1024


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with mariadb() as database, control_planes(database.url, 2) as (here, there), echo() as bare:
        async with load_on(here), load_on(there):
            pass
        async with AsyncExitStack() as stack:
            secret = {headers.DEPLOY_SECRET: here.tokens["DEPLOY_PROXY_AUTH_SHARED_SECRET"]}
            proof = {headers.RUNNER_TOKEN: here.tokens["DEPLOY_RUNNER_TOKEN"]}
            near, far = [
                JobsClient(await stack.enter_async_context(Transport(daemon.url, secret))) for daemon in (here, there)
            ]
            runner = RunnerClient(await stack.enter_async_context(Transport(here.url, proof)))
            same, other, echoes = await latencies(near, far, runner, bare.url)
            short, long = [await look_ms(near, runner, size) for size in (SHORT_BYTES, LONG_BYTES)]
    limit = ("ms", "limit", LIMIT_MS, 1.0)
    return show(
        f"logs: {READERS} readers at the runner's replica and {READERS} at another, on MariaDB",
        [
            Figure("line to reader, same replica, median", median(same), *limit),
            Figure("line to reader, same replica, p99", percentile(same, 0.99), *limit),
            Figure("line to reader, other replica, median", median(other), *limit),
            Figure("line to reader, other replica, p99", percentile(other, 0.99), *limit),
            Figure(
                "line to reader, same replica, p99",
                percentile(same, 0.99),
                "ms",
                "echo, p99",
                percentile(echoes, 0.99),
                20,
            ),
            Figure("1 KiB anywhere in a log of 64 MiB, median", long, "ms", "in one of 1 MiB", short, 1.5),
        ],
    )


async def claimed(jobs: JobsClient, runner: RunnerClient, app_id: str) -> tuple[str, Attempt, HttpControlPlane]:
    """A running job, and the control plane as its runner sees it."""
    payload = JobPayload(user_id="1", app_id=app_id, image="busybox:1.36")
    await jobs.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
    job = await runner.claim(ClaimJob(runner_id="bench", wait_seconds=20, lease_seconds=600))
    if job is None:
        raise SystemExit("no job was handed out within 20 s")
    control = HttpControlPlane(
        runner, runner_id="bench", lease_seconds=600, slots=8, version="bench", host="bench", labels=()
    )
    return job.id, attempt_of(job, 600), control


async def latencies(
    near: JobsClient, far: JobsClient, runner: RunnerClient, bare: str
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from each line's writing to each reader, at the same and at the other replica; and of bare echoes at
    the same time."""
    job_id, attempt, control = await claimed(near, runner, "followed")
    written: dict[int, float] = {}
    times: tuple[list[float], list[float]] = ([], [])
    echoes: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder) / "job.log"
        spool.touch()
        log = JobLog(FileSpool(spool), Redactor(()))
        uploader = LogUploader(control, attempt, log, MachinePacer())
        async with asyncio.TaskGroup() as group:
            uploading = group.create_task(uploader.run())
            echoing = group.create_task(echo_along(bare, echoes))
            readers = [
                group.create_task(read_along(jobs, job_id, written, found))
                for jobs, found in zip((near, far), times, strict=True)
                for _ in range(READERS)
            ]
            # The first lines only tell the runner that somebody reads; they are not counted.
            for number in range(-100, LINES):
                written[number] = time.perf_counter()
                await log.write(f"line {number} of a build that prints\n")
                await asyncio.sleep(EVERY_SECONDS)
            echoing.cancel()
            await asyncio.wait(readers, timeout=10)
            for task in (*readers, uploading):
                task.cancel()
    for found in times:
        if len(found) != READERS * LINES:
            raise SystemExit(f"{len(found)} of {READERS * LINES} lines arrived")
    return *times, echoes


async def echo_along(url: str, found: list[float]) -> None:
    """Time a bare echo every 50 ms: what the machine, and this client, need for nothing."""
    async with aiohttp.ClientSession() as session:
        while True:
            began = time.perf_counter()
            async with session.post(url, data=b"line of a build that prints\n") as answer:
                await answer.read()
            found.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.05)


async def read_along(jobs: JobsClient, job_id: str, written: dict[int, float], found: list[float]) -> None:
    """Note how old each line is when it arrives, until the last."""
    rest = b""
    chunks = jobs.log(job_id, follow=True)
    async with aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            now = time.perf_counter()
            *lines, rest = (rest + chunk).split(b"\n")
            numbers = [int(line.split()[1]) for line in lines]
            found += [(now - written[number]) * 1000 for number in numbers if number >= 0]
            if numbers and numbers[-1] == LINES - 1:
                return


async def look_ms(jobs: JobsClient, runner: RunnerClient, size: int) -> float:
    """Median milliseconds of reading at offsets of chance of a log of `size` bytes, up to the first KiB."""
    job_id, attempt, control = await claimed(jobs, runner, f"log-of-{size}")
    offset = 0
    while offset < size:
        piece = text(offset, min(PIECE_BYTES, size - offset))
        offset = (await control.upload(attempt, offset, piece)).length
    times: list[float] = []
    for start in offsets(size):
        began = time.perf_counter()
        chunks = jobs.log(job_id, offset=start)
        async with aclosing(chunks):  # type: ignore[type-var]
            first = await anext(chunks)
        times.append((time.perf_counter() - began) * 1000)
        if first[:64] != text(start, 64):
            raise SystemExit(f"the log at {start} is not what was written there")
    return median(times)


def offsets(size: int) -> Sequence[int]:
    """Where to look."""
    chance = random.Random(7)
    return [chance.randrange(size - 1024) for _ in range(LOOKS)]


def text(offset: int, length: int) -> bytes:
    """What the log has there: numbered lines of 32 bytes."""
    first, last = offset // 32, (offset + length) // 32 + 1
    lines = b"".join(b"%020d npm ERR ok\n" % number for number in range(first, last))
    return lines[offset - first * 32 : offset - first * 32 + length]


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
