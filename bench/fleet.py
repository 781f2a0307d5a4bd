"""What a whole fleet costs one control plane: 200 waiting runners, 1,000 nodes that report every 10 s, 20 consoles on
the event stream and 5 jobs a second, on MariaDB.

The processor time is that of the control plane's process, as a share of one core; the time from create to claimed is
measured beside it. Then 1,000 requests are parked at once, and its resident memory is read.
"""

import asyncio
import itertools
import random
import time
from dataclasses import dataclass, field

import aiohttp
import orjson
import uvloop

from bench.figures import Figure, median, percentile, show
from bench.load import Load, load_on
from bench.reference import rescaled, slowness
from bench.servers import ControlPlane, Server, control_planes, echo, mariadb
from protocol import headers

RUNNERS, NODES, CONSOLES, JOBS_PER_SECOND = 200, 1000, 20, 5.0
INTERVAL_SECONDS = 10.0
SETTLE_SECONDS, MEASURE_SECONDS = 15.0, 40.0
PARKED = 1000
CPU_PCT, DATABASE_PCT, RESIDENT_MB, MEDIAN_MS, P99_MS = 10.0, 10.0, 200.0, 6.0, 25.0


@dataclass
class Patient(Load):
    """A client that sends again what an overloaded control plane answered 503, as runners and agents do."""

    refused: int = 0

    async def post(self, path: str, header: str, token: str, body: object) -> dict[str, object]:
        """The data of the answer; ends the benchmark at any other refusal."""
        proof = {header: self.plane.tokens[token], "Content-Type": "application/json"}
        while True:
            async with self.session.post(self.plane.url + path, data=orjson.dumps(body), headers=proof) as answer:
                content = await answer.read()
            if answer.status == 200:
                return orjson.loads(content)["data"] or {}
            if answer.status != 503:
                raise SystemExit(f"{path} was answered {answer.status}: {content[:500]!r}")
            self.refused += 1
            await asyncio.sleep(0.5)


@dataclass
class Fleet:
    """Everybody who calls the control plane."""

    load: Patient
    sent: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    events: int = 0

    async def runner(self, name: str) -> None:
        """Wait for jobs and end them at once, for ever."""
        while True:
            job = await self.load.claim(name)
            if job:
                if (began := self.sent.pop(str(job["id"]), None)) is not None:
                    self.waits.append((time.perf_counter() - began) * 1000)
                await self.load.renew(name, job)
                await self.load.report(name, job)

    async def waiter(self, name: str) -> None:
        """Wait for jobs, and take none: there are none by then."""
        while True:
            await self.load.claim(name)

    async def node(self, number: int) -> None:
        """Report for ever."""
        await asyncio.sleep(INTERVAL_SECONDS * random.random())
        for beat in itertools.count():
            await self.report(number, beat)
            await asyncio.sleep(INTERVAL_SECONDS * (0.9 + 0.2 * random.random()))

    async def report(self, number: int, beat: int) -> None:
        """One heartbeat; its figures change a little each time."""
        total = 1000 * 1024**3
        free = int(total * (0.5 + 0.0001 * ((number + beat) % 1000)))
        where = f"http://10.{number // 250}.{number % 250}.1"
        body = {
            "nodeName": f"node-{number:04}",
            "agentBaseUrl": f"{where}:7005",
            "gatewayBaseUrl": f"{where}:8088",
            "diskFreePct": round(100 * free / total, 2),
            "diskFreeBytes": free,
            "diskTotalBytes": total,
            "inodesFreePct": 80.0,
            "containerCount": 10 + beat % 3,
            "intervalSeconds": INTERVAL_SECONDS,
        }
        await self.load.post("/internal/runtime-nodes/heartbeat", headers.NODE_TOKEN, "DEPLOY_NODE_TOKEN", body)

    async def console(self) -> None:
        """Read the event stream for ever."""
        proof = {headers.ADMIN_TOKEN: self.load.plane.tokens["DEPLOY_ADMIN_TOKEN"]}
        endless = aiohttp.ClientTimeout(total=None)
        while True:
            url = f"{self.load.plane.url}/admin/events"
            async with self.load.session.get(url, headers=proof, timeout=endless) as stream:
                async for chunk in stream.content.iter_any():
                    self.events += chunk.count(b"\ndata: ")

    async def submitter(self) -> None:
        """Jobs at an even pace, for ever."""
        while True:
            began = time.perf_counter()
            self.sent[await self.load.create()] = began
            await asyncio.sleep(max(0.0, 1 / JOBS_PER_SECOND - (time.perf_counter() - began)))


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with mariadb() as database, control_planes(database.url, stale_seconds=45) as (plane,), echo() as bare:
        async with load_on(plane) as load:
            fleet = Fleet(Patient(plane, load.session))
            for first in range(0, NODES, 10):
                await asyncio.gather(*(fleet.report(number, 0) for number in range(first, first + 10)))
            busy, database_busy = await under_load(fleet, plane, database)
            resident = await parked_mb(fleet, plane)
            slower = await slowness(load.session, bare)
    limit = ("limit",)
    timed = [
        Figure("processor time of the control plane", busy, "% of a core", *limit, CPU_PCT, 1.0),
        Figure("processor time of MariaDB", database_busy, "% of a core", *limit, DATABASE_PCT, 1.0),
        Figure("create to claimed, median", median(fleet.waits), "ms", *limit, MEDIAN_MS, 1.0),
        Figure("create to claimed, p99", percentile(fleet.waits, 0.99), "ms", *limit, P99_MS, 1.0),
    ]
    return show(
        f"{RUNNERS} waiting runners, {NODES} nodes, {CONSOLES} consoles, {JOBS_PER_SECOND:g} jobs/s on MariaDB",
        [
            *timed,
            *(rescaled(figure, slower) for figure in timed),
            Figure("requests answered 503 and sent again", fleet.load.refused, "", *limit, 0.0, 0.0),
            Figure(f"resident, {PARKED} parked and {CONSOLES} consoles", resident, "MB", *limit, RESIDENT_MB, 1.0),
        ],
    )


async def under_load(fleet: Fleet, *servers: Server) -> list[float]:
    """The processor time of each in percent of a core while everybody is there."""
    async with asyncio.TaskGroup() as group:
        work = [fleet.submitter(), *(fleet.console() for _ in range(CONSOLES))]
        work += [fleet.runner(f"r{number:03}") for number in range(RUNNERS)]
        work += [fleet.node(number) for number in range(NODES)]
        tasks = [group.create_task(each) for each in work]
        await asyncio.sleep(SETTLE_SECONDS)
        fleet.waits.clear()
        before, began = [server.cpu_seconds() for server in servers], time.perf_counter()
        await asyncio.sleep(MEASURE_SECONDS)
        after, seconds = [server.cpu_seconds() for server in servers], time.perf_counter() - began
        for task in tasks:
            task.cancel()
    return [100 * (now - was) / seconds for now, was in zip(after, before, strict=True)]


async def parked_mb(fleet: Fleet, plane: ControlPlane) -> float:
    """Resident MB of the control plane with a thousand parked requests and the consoles."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fleet.waiter(f"w{number:04}")) for number in range(PARKED)]
        tasks += [group.create_task(fleet.console()) for _ in range(CONSOLES)]
        await asyncio.sleep(10)
        resident = plane.resident_mb()
        for task in tasks:
            task.cancel()
    return resident


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
