"""A load client for the control plane: requests as bytes over as many connections as there are callers."""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson

from bench.servers import ControlPlane, Server
from protocol import headers

USERS: Final = 50
_ECHOED: Final = orjson.dumps({"runnerId": "r1", "leaseToken": "x" * 32, "extendSeconds": 60, "phase": "DEPLOY"})
_BEAT: Final = {"diskFreePct": 80.0, "agentBaseUrl": "http://127.0.0.1:1", "gatewayBaseUrl": "http://127.0.0.1:1"}


@dataclass
class Load:
    """The callers of one control plane: submitters, runners, one node."""

    plane: ControlPlane
    session: aiohttp.ClientSession
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def post(self, path: str, header: str, token: str, body: object) -> dict[str, object]:
        """The data of the answer, `{}` when there is none; ends the benchmark at the first refusal."""
        proof = {header: self.plane.tokens[token], "Content-Type": "application/json"}
        async with self.session.post(self.plane.url + path, data=orjson.dumps(body), headers=proof) as answer:
            content = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path} was answered {answer.status}: {content[:500]!r}")
            return orjson.loads(content)["data"] or {}

    async def create(self) -> str:
        """A job of an app of its own, of one of the users in turn; its id."""
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

    async def renew(self, runner: str, job: Mapping[str, object]) -> None:
        """One heartbeat of the job's holder."""
        beat = {"runnerId": runner, "leaseToken": job["leaseToken"], "extendSeconds": 60, "phase": "DEPLOY"}
        await self.post(f"/deploy/jobs/{job['id']}/heartbeat", headers.RUNNER_TOKEN, "DEPLOY_RUNNER_TOKEN", beat)

    async def report(self, runner: str, job: Mapping[str, object]) -> None:
        """The job's success."""
        report = {"runnerId": runner, "leaseToken": job["leaseToken"], "status": "SUCCEEDED"}
        await self.post(f"/deploy/jobs/{job['id']}/report", headers.RUNNER_TOKEN, "DEPLOY_RUNNER_TOKEN", report)

    async def beat(self, node: str = "bench") -> None:
        """A node's heartbeat."""
        body = {"nodeName": node, **_BEAT}
        await self.post("/internal/runtime-nodes/heartbeat", headers.NODE_TOKEN, "DEPLOY_NODE_TOKEN", body)

    async def echo_ms(self, server: Server) -> float:
        """Milliseconds of one request to a bare echo."""
        began = time.perf_counter()
        async with self.session.post(server.url, data=_ECHOED, headers={"Content-Type": "application/json"}) as answer:
            await answer.read()
        return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def load_on(plane: ControlPlane) -> AsyncIterator[Load]:
    """The callers, with one node registered."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        load = Load(plane, session)
        await load.beat()
        yield load


async def echo_rate(session: aiohttp.ClientSession, server: Server, connections: int, seconds: float) -> float:
    """Requests per second that this client gets from a handler that does nothing."""
    done = 0
    until = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            async with session.post(server.url, data=_ECHOED, headers={"Content-Type": "application/json"}) as answer:
                orjson.loads(await answer.read())
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(caller())
    return done / seconds
