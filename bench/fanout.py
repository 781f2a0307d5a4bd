"""How fast one event reaches every console, and what it costs the control plane, with 20 consoles and with 200.

An event is an operator's edit of a node, sent 20 times a second; the time counts from before the request to the arrival
at each console, so it contains the request and its durable commit. The peer is the request's own answer.
"""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp
import orjson
import uvloop

from bench.figures import Figure, median, percentile, show
from bench.load import Load, load_on
from bench.servers import ControlPlane, control_plane, mariadb
from protocol import headers

EVENTS, PER_SECOND = 200, 20.0
FEW, MANY = 20, 200
LIMIT_MS = 250.0
ANSWERS_MOST = 20.0


@dataclass
class Audience:
    """Consoles that read the event stream."""

    plane: ControlPlane
    sent: dict[int, float] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    listening: int = 0
    used_ms: float = 0.0

    async def console(self, session: aiohttp.ClientSession) -> None:
        """Note when each edit arrives, for ever."""
        proof = {headers.ADMIN_TOKEN: self.plane.tokens["DEPLOY_ADMIN_TOKEN"]}
        endless = aiohttp.ClientTimeout(total=None)
        async with session.get(f"{self.plane.url}/admin/events", headers=proof, timeout=endless) as stream:
            async for line in stream.content:
                if line.startswith(b"event: beat"):
                    self.listening += 1
                if line.startswith(b"data: ") and b'"edited"' in line:
                    began = self.sent.get(orjson.loads(line[6:])["node"]["weight"])
                    if began is not None:
                        self.times.append((time.perf_counter() - began) * 1000)


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    figures: list[Figure] = []
    with mariadb() as database, control_plane(database.url) as plane:
        async with load_on(plane) as load:
            for consoles in (FEW, MANY):
                heard = await listened(load, consoles)
                limit = ("ms", "limit", LIMIT_MS, 1.0)
                figures += [
                    Figure(f"event to {consoles} consoles, median", median(heard.times), *limit),
                    Figure(f"event to {consoles} consoles, p99", percentile(heard.times, 0.99), *limit),
                    Figure(
                        f"event to {consoles} consoles, median",
                        median(heard.times),
                        "ms",
                        "the request's answer",
                        median(heard.answers),
                        ANSWERS_MOST,
                    ),
                    Figure(f"processor time per event, {consoles} consoles", heard.used_ms, "ms", "limit", 50.0, 1.0),
                ]
    return show("fan-out of events on MariaDB", figures)


async def listened(load: Load, consoles: int) -> Audience:
    """What so many consoles heard of the edits, and what one cost."""
    audience = Audience(load.plane)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(audience.console(session)) for _ in range(consoles)]
        async with asyncio.timeout(60):
            while audience.listening < consoles:
                await asyncio.sleep(0.1)
        before = load.plane.cpu_seconds()
        for number in range(1, EVENTS + 1):
            await edit(load, audience, number)
        async with asyncio.timeout(30):
            while len(audience.times) < consoles * EVENTS:
                await asyncio.sleep(0.1)
        after = load.plane.cpu_seconds()
        for task in tasks:
            task.cancel()
    audience.used_ms = 1000 * (after - before) / EVENTS
    return audience


async def edit(load: Load, audience: Audience, number: int) -> None:
    """One event."""
    where = "http://127.0.0.1:1"
    body = {"name": "bench", "agentBaseUrl": where, "gatewayBaseUrl": where, "weight": number}
    audience.sent[number] = began = time.perf_counter()
    await load.post("/admin/runtime-nodes/upsert", headers.ADMIN_TOKEN, "DEPLOY_ADMIN_TOKEN", body)
    audience.answers.append((time.perf_counter() - began) * 1000)
    await asyncio.sleep(max(0.0, 1 / PER_SECOND - (time.perf_counter() - began)))


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
