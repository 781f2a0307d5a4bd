"""How long a created job takes to reach one of many waiting runners, on MariaDB with the durability it has by default.

So many runners wait; jobs are created one at a time, and the time counts from just before the create is sent to the
arrival of the claim's answer. The peer is a bare echo that the same client calls in between: what a request costs here.
"""

import argparse
import asyncio
import time

import uvloop

from bench.figures import Figure, median, percentile, show
from bench.load import Load, load_on
from bench.reference import rescaled, slowness
from bench.servers import Server, control_plane, echo, mariadb

PICKUPS = 300
MEDIAN_MS, P99_MS = 6.0, 25.0
#: A create is a request with a commit, a claim a commit and an answer.
ECHOES_MOST = 30.0


async def main(runners: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    with mariadb() as database, control_plane(database.url) as plane, echo() as bare:
        async with load_on(plane) as load:
            waits, echoes = await pickups(load, bare, runners)
            slower = await slowness(load.session, bare)
    who = f"create to claimed, {runners} waiting"
    limited = [
        Figure(f"{who}, median", median(waits), "ms", "limit", MEDIAN_MS, 1.0),
        Figure(f"{who}, p99", percentile(waits, 0.99), "ms", "limit", P99_MS, 1.0),
    ]
    return show(
        "from a job's creation to its runner, on MariaDB",
        [
            *limited,
            *(rescaled(figure, slower) for figure in limited),
            Figure(f"{who}, median", median(waits), "ms", "bare echo, median", median(echoes), ECHOES_MOST),
            Figure(
                f"{who}, p99", percentile(waits, 0.99), "ms", "bare echo, p99", percentile(echoes, 0.99), ECHOES_MOST
            ),
        ],
    )


async def pickups(load: Load, bare: Server, runners: int) -> tuple[list[float], list[float]]:
    """Milliseconds from create to claimed, and of the echoes between."""
    answered: dict[str, asyncio.Future[float]] = {}
    loop = asyncio.get_running_loop()

    async def runner(name: str) -> None:
        while True:
            job = await load.claim(name)
            if job:
                answered.setdefault(str(job["id"]), loop.create_future()).set_result(time.perf_counter())
                await load.report(name, job)

    waits, echoes = list[float](), list[float]()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(runner(f"p{number}")) for number in range(runners)]
        await asyncio.sleep(2)
        for _ in range(PICKUPS):
            await asyncio.sleep(0.02)
            echoes.append(await load.echo_ms(bare))
            began = time.perf_counter()
            job_id = await load.create()
            waits.append((await answered.setdefault(job_id, loop.create_future()) - began) * 1000)
        for task in tasks:
            task.cancel()
    return waits, echoes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runners", type=int, default=200)
    uvloop.install()
    raise SystemExit(asyncio.run(main(parser.parse_args().runners)))
