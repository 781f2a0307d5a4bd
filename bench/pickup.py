"""How long a created job takes to reach a waiting runner.

Starts a control plane of its own on a SQLite file, parks one runner's claim, and times from just before the create is
sent to the moment the claim is answered. The peer is a bare HTTP echo served by the same library and called by the
same client.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from aiohttp import web

from bench.figures import Figure, median, percentile, show
from protocol import headers
from protocol.client.deploy import JobsClient, NodeClient, RunnerClient
from protocol.client.transport import ClientError, Transport
from protocol.jobs import ClaimJob, CreateJob, JobPayload, JobStatus, JobType, ReportJob
from protocol.nodes import NodeHeartbeat

ROUNDS = 100
LIMIT_MS = 20.0


async def main() -> int:
    """Measure and print; exit code 0 if the limit held."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        names = ("DEPLOY_ADMIN_TOKEN", "DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_RUNNER_TOKEN", "DEPLOY_NODE_TOKEN")
        tokens = {name: secrets.token_urlsafe(32) for name in (*names, "RUNTIME_AGENT_TOKEN")}
        settings = {
            "DEPLOY_DB_URL": f"sqlite:///{folder}/deploy.db",
            "DEPLOY_PORT": str(port),
            "FUNAI_LOG_LEVEL": "WARNING",
        }
        daemon = subprocess.Popen([sys.executable, "-m", "daemons.deploy"], env=os.environ | tokens | settings)
        try:
            pickups = await measure(f"http://127.0.0.1:{port}", tokens)
            resident = resident_mb(daemon.pid)
        finally:
            daemon.terminate()
            daemon.wait(20)
    echo = await echo_ms()
    return show(
        "job create to claimed, one waiting runner",
        [
            Figure("create to claimed, median", median(pickups), "ms", "limit", LIMIT_MS, 1.0),
            Figure("create to claimed, p99", percentile(pickups, 0.99), "ms", "limit", LIMIT_MS, 2.0),
            Figure("create to claimed, median", median(pickups), "ms", "bare HTTP echo, median", echo, 20.0),
            Figure("control plane, resident", resident, "MB", "limit", 120.0, 1.0),
        ],
    )


async def measure(url: str, tokens: dict[str, str]) -> list[float]:
    """Milliseconds from create to claimed, one value per round."""
    runner_proof = {headers.RUNNER_TOKEN: tokens["DEPLOY_RUNNER_TOKEN"]}
    async with (
        Transport(url, {headers.DEPLOY_SECRET: tokens["DEPLOY_PROXY_AUTH_SHARED_SECRET"]}) as jobs_transport,
        Transport(url, runner_proof) as runner_transport,
        Transport(url, {headers.NODE_TOKEN: tokens["DEPLOY_NODE_TOKEN"]}) as node_transport,
    ):
        jobs, runner, node = JobsClient(jobs_transport), RunnerClient(runner_transport), NodeClient(node_transport)
        await answering(jobs)
        beat = NodeHeartbeat(
            node_name="bench",
            agent_base_url="http://127.0.0.1:1",
            gateway_base_url="http://127.0.0.1:1",
            disk_free_pct=80.0,
            disk_free_bytes=10**11,
            container_count=0,
        )
        await node.heartbeat(beat)
        return [await one_round(jobs, runner, number) for number in range(ROUNDS)]


async def answering(jobs: JobsClient) -> None:
    """Wait until the control plane is ready."""
    for _ in range(200):
        try:
            await jobs.ready()
        except ClientError:
            await asyncio.sleep(0.1)
        else:
            return
    raise SystemExit("the control plane did not become ready within 20 s")


async def one_round(jobs: JobsClient, runner: RunnerClient, number: int) -> float:
    """Park a claim, create a job, end it; milliseconds from create to claimed."""
    claim = ClaimJob(runner_id="bench", wait_seconds=20, lease_seconds=30)
    payload = JobPayload(user_id="1", app_id=f"app-{number}", image="busybox:1.36")
    async with asyncio.TaskGroup() as group:
        parked = group.create_task(runner.claim(claim))
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        group.create_task(jobs.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload)))
        job = await parked
        elapsed = (time.perf_counter() - started) * 1000
    assert job is not None
    report = ReportJob(runner_id="bench", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
    await runner.report(job.id, report)
    return elapsed


async def echo_ms() -> float:
    """Median milliseconds of a POST to a bare handler in this process."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.add_routes([web.post("/", echo)])
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    times = []
    async with httpx.AsyncClient(trust_env=False) as client:
        port = server.addresses[0][1]
        for _ in range(ROUNDS):
            started = time.perf_counter()
            await client.post(f"http://127.0.0.1:{port}/", content=b"{}")
            times.append((time.perf_counter() - started) * 1000)
    await server.cleanup()
    return median(times)


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
