"""What a deployment costs, on the platform that `bin/up` started in FUNAI_DATA_DIR (default: ./data).

Three figures, each against a peer of the same run:
- a first deployment of an image the node has, from the job's creation to the first 200 through the gateway, against
  `docker run` of the same image up to its first 200;
- the same for a redeployment, up to the first answer of the new version;
- failed requests of 16 keep-alive connections while the app is redeployed five times: none is allowed.
"""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.figures import Figure, median, show
from bench.servers import resident_mb
from protocol import headers
from protocol.apps import AppCommand
from protocol.client.deploy import AdminClient
from protocol.client.transport import Transport
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType

ROUNDS = 7
CONNECTIONS = 16
REDEPLOYS = 5
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the running platform is."""

    deploy: str
    gateway: str
    engine: str
    admin_token: str

    @classmethod
    def running(cls) -> "Platform":
        """The one in FUNAI_DATA_DIR."""
        folder = Path(os.environ.get("FUNAI_DATA_DIR", "data"))
        addresses: Mapping[str, str] = json.loads((folder / "platform.json").read_text())
        lines = (folder / "credentials.env").read_text().splitlines()
        secrets_by_name = dict(line.split("=", 1) for line in lines if "=" in line)
        return cls(
            addresses["deploy"],
            addresses["gateway"],
            addresses["engine"],
            secrets_by_name["DEPLOY_ADMIN_TOKEN"],
        )


class Engine:
    """The docker command line against the platform's engine: images for the measurements, and the peer."""

    def __init__(self, url: str) -> None:
        docker = shutil.which("docker")
        assert docker is not None
        self._docker = [docker, "-H", url]

    def build(self, tag: str, text: str) -> None:
        """An image whose page is `text`."""
        dockerfile = f"FROM busybox:1.36\nRUN mkdir /www && echo {text} > /www/index.html\n"
        dockerfile += 'CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]\n'
        argv = [*self._docker, "build", "-q", "-t", tag, "-"]
        subprocess.run(argv, input=dockerfile.encode(), check=True, capture_output=True)

    def run(self, tag: str) -> tuple[str, int]:
        """Start a container of the image; its id and its port on 127.0.0.1."""
        argv = [*self._docker, "run", "-d", "-p", "127.0.0.1::3000", tag]
        container = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        argv = [*self._docker, "port", container, "3000"]
        address = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[0]
        return container, int(address.rsplit(":", 1)[1])

    def remove(self, container: str) -> None:
        """Remove a container."""
        subprocess.run([*self._docker, "rm", "-f", container], check=True, capture_output=True)

    def remove_image(self, tag: str) -> None:
        """Remove an image if nothing uses it."""
        subprocess.run([*self._docker, "rmi", tag], check=False, capture_output=True)


async def first_answer(session: aiohttp.ClientSession, url: str, text: str) -> None:
    """Poll until the page says `text`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            async with session.get(url) as answer:
                if answer.status == 200 and (await answer.text()).strip() == text:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.005)
    raise SystemExit(f"{url} did not answer {text!r} within {PATIENCE_SECONDS:g} s")


async def deploy(admin: AdminClient, app_id: str, image: str) -> str:
    """Create the job; its id."""
    payload = JobPayload(user_id="1", app_id=app_id, image=image)
    return (await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))).id


async def ended(admin: AdminClient, job_id: str) -> None:
    """Wait for the job's success."""
    while not (job := await admin.get(job_id)).status.terminal:
        await asyncio.sleep(0.05)
    if job.status is not JobStatus.SUCCEEDED:
        raise SystemExit(f"job {job_id} ended {job.status}: {job.error_message}")


async def compare(platform: Platform, engine: Engine, admin: AdminClient, name: str) -> tuple[list[float], ...]:
    """Milliseconds of `docker run`, of first deployments and of redeployments, taken in turn."""
    peer: list[float] = []
    first: list[float] = []
    again: list[float] = []
    async with aiohttp.ClientSession() as session:
        for number in range(ROUNDS):
            app_id = f"{name}-{number}"
            started = time.perf_counter()
            container, port = await asyncio.to_thread(engine.run, f"{name}:a")
            await first_answer(session, f"http://127.0.0.1:{port}/", f"{name}-a")
            peer.append((time.perf_counter() - started) * 1000)
            await asyncio.to_thread(engine.remove, container)
            for tag, times in (("a", first), ("b", again)):
                started = time.perf_counter()
                job_id = await deploy(admin, app_id, f"{name}:{tag}")
                await first_answer(session, f"{platform.gateway}/runtime/{app_id}/", f"{name}-{tag}")
                times.append((time.perf_counter() - started) * 1000)
                await ended(admin, job_id)
            await admin.cleanup_app(AppCommand(user_id="1", app_id=app_id))
    return peer, first, again


async def hammer(url: str, stop: asyncio.Event, counts: dict[str, int]) -> None:
    """One keep-alive connection that asks as fast as it is answered."""
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        while not stop.is_set():
            try:
                async with session.get(url) as answer:
                    await answer.read()
                    counts["ok" if answer.status == 200 else "failed"] += 1
            except aiohttp.ClientError:
                counts["failed"] += 1


async def under_load(platform: Platform, admin: AdminClient, name: str) -> dict[str, int]:
    """Redeploy while every connection is busy; answered and failed requests."""
    app_id, counts, stop = f"{name}-load", {"ok": 0, "failed": 0}, asyncio.Event()
    await ended(admin, await deploy(admin, app_id, f"{name}:a"))
    url = f"{platform.gateway}/runtime/{app_id}/"
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(hammer(url, stop, counts))
        for number in range(REDEPLOYS):
            await ended(admin, await deploy(admin, app_id, f"{name}:{'ba'[number % 2]}"))
        stop.set()
    await admin.cleanup_app(AppCommand(user_id="1", app_id=app_id))
    return counts


def daemons_resident() -> dict[str, float]:
    """Resident megabytes of each daemon of this platform's kind, the largest of each name."""
    found: dict[str, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        name = next((word.decode() for word in words if word.startswith(b"daemons.")), None)
        if name is not None:
            found[name] = max(found.get(name, 0.0), resident_mb(int(entry.name)))
    return found


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    platform = Platform.running()
    engine, name = Engine(platform.engine), f"bench-{secrets.token_hex(3)}"
    idle = daemons_resident()
    for tag in ("a", "b"):
        engine.build(f"{name}:{tag}", f"{name}-{tag}")
    try:
        async with Transport(platform.deploy, {headers.ADMIN_TOKEN: platform.admin_token}, timeout=60) as transport:
            admin = AdminClient(transport)
            peer, first, again = await compare(platform, engine, admin, name)
            counts = await under_load(platform, admin, name)
    finally:
        for tag in ("a", "b"):
            engine.remove_image(f"{name}:{tag}")
    run = median(peer)
    figures = [
        Figure("first deployment to first 200, median", median(first), "ms", "docker run to first 200", run, 1.5),
        Figure("redeployment to new version, median", median(again), "ms", "docker run to first 200", run, 1.5),
        Figure(f"failed of {counts['ok']} requests, {REDEPLOYS} redeploys", counts["failed"], "", "none", 0, 0),
    ]
    figures += [Figure(f"{daemon}, resident", size, "MB", "limit", 120, 1.0) for daemon, size in sorted(idle.items())]
    return show("deployment of a ready image", figures)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
