"""How many jobs a second go from create to report, on MariaDB with the durability it has by default.

A job is four requests with their durable commits: create, claim, heartbeat, report. The peer is a bare echo in a
process of its own as well, called by the same client over as many connections, before and after each load of the same
run. The control plane, MariaDB and the client share the machine; the processor time of each is printed beside.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from bench.figures import Figure, show
from bench.load import Load, echo_rate, load_on
from bench.servers import Server, control_plane, echo, mariadb

REQUESTS_PER_JOB = 4
ECHO_SECONDS = 2.0
PATIENCE_SECONDS = 300.0
#: Requests a second of the lifecycle are to be at least half of what a bare echo gives.
MOST = 2.0


async def main(runners: int, submitters: int, jobs: int, rounds: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    figures: list[Figure] = []
    with mariadb() as database, control_plane(database.url) as plane, echo() as bare:
        async with load_on(plane) as load:
            await lifecycle(load, runners, submitters, jobs // 10)
            for _ in range(rounds):
                figures += await one_round(load, bare, (plane, database), runners, submitters, jobs)
            figures.append(Figure("control plane, resident", plane.resident_mb(), "MB", "limit", 200.0, 1.0))
        retried = database.deadlocks()
    figures.append(Figure("deadlocks in the database", retried, "", "none", 0, 0))
    return show("a job's life on MariaDB: create, claim, heartbeat, report", figures)


async def one_round(
    load: Load, bare: Server, servers: Sequence[Server], runners: int, submitters: int, jobs: int
) -> list[Figure]:
    """The echo, the load, the echo again; what the load cost each process."""
    before = await echo_rate(load.session, bare, runners + submitters, ECHO_SECONDS)
    started, used = time.process_time(), [server.cpu_seconds() for server in servers]
    rate = await lifecycle(load, runners, submitters, jobs)
    spent = [(server.name, server.cpu_seconds() - was) for server, was in zip(servers, used, strict=True)]
    spent.append(("load client", time.process_time() - started))
    after = await echo_rate(load.session, bare, runners + submitters, ECHO_SECONDS)
    name = f"{rate:.0f} jobs/s, {runners} runners: requests"
    costs = ", ".join(f"{who} {seconds / jobs * 1000:.2f}" for who, seconds in spent)
    print(f"processor ms per job: {costs}")
    return [Figure("bare echo requests", (before + after) / 2, "/s", name, rate * REQUESTS_PER_JOB, MOST)]


async def lifecycle(load: Load, runners: int, submitters: int, jobs: int) -> float:
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

    load: Load
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
            await self.load.renew(name, job)
            await self.load.report(name, job)
            self.to_end -= 1
            if self.to_end == 0:
                self.ended.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runners", type=int, default=200)
    parser.add_argument("--submitters", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    uvloop.install()
    raise SystemExit(asyncio.run(main(given.runners, given.submitters, given.jobs, given.rounds)))
