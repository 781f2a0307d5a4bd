"""What a preview costs: a workspace of a real engine behind a HAProxy with the platform's configuration. Needs `wrk`.

    python -m bench.previews                  # two minutes
    python -m bench.previews --wakes 500      # that many of each kind

- a visit to a workspace that is frozen, beyond one to a workspace that is awake, against 60 ms;
- a visit to one that was stopped, against 1.5 times the start of such a container by the engine alone together with the
  start of the same server in it;
- requests per second with the gateway's question and map, against the same rules without them, and against none;
- wakes that were not answered with the page.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiodocker import Docker
from aiodocker.containers import DockerContainer

from bench.figures import Figure, median, percentile, show
from bench.gateway import requests_per_second
from bench.servers import free_port
from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, real, workspace_node
from tests.support.preview_projects import put
from tests.support.workspace_node import Node, new_user

APP, IMAGE, PAGE = "bench", "funai-bench-node:1", "a page"
ROUNDS = 5
_SERVER = f"require('node:http').createServer((_, answer) => answer.end('{PAGE}')).listen(process.env.PORT, '0.0.0.0');"
_PROJECT = {
    "package.json": '{"name": "bench", "scripts": {"dev": "node server.js"}}',
    "server.js": _SERVER,
    "node_modules/.keep": "",
}
#: The same way without a question, and one without any rule.
_BESIDE = """
frontend told
    bind 127.0.0.1:{told}
    http-request set-var(txn.way) str("{port} strip {app}")
    default_backend previews

frontend bare
    bind 127.0.0.1:{bare}
    default_backend bare

backend bare
    http-request set-path /
    server bare 127.0.0.1:{port}
"""


async def measure(docker_url: str, folder: Path, wakes: int) -> list[Figure]:
    """All figures."""
    await asyncio.to_thread(real.busybox_image, docker_url)
    await asyncio.to_thread(node_image.build, docker_url, IMAGE)
    # Whoever waits for a bench may wait for a busy machine.
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_IMAGE": IMAGE, "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "60"}
    async with workspace_node.node(docker_url, folder / "node", **settings) as node:
        user = new_user()
        async with node.client(user) as client:
            await client.ensure()
            await asyncio.to_thread(put, node, user, APP, _PROJECT)
            await client.run(RunType.START, APP)
        workspace = node.services.workspaces.find(user)
        assert workspace is not None
        told, bare = free_port(), free_port()
        beside = _BESIDE.format(told=told, bare=bare, port=workspace.host_port, app=APP)
        async with preview_gateway.haproxy(node.url, folder / "gateway", beside) as url:
            address = f"{url}/preview/{APP}/"
            figures = await _waking(node, user, address, wakes)
            figures.append(await _against_the_engine(node, user, address, wakes, folder))
            beside_urls = [f"http://127.0.0.1:{port}/preview/{APP}/" for port in (told, bare)]
            return figures + await _throughput(address, *beside_urls)


async def _waking(node: Node, user: str, address: str, wakes: int) -> list[Figure]:
    workspaces = node.services.workspaces
    async with aiohttp.ClientSession() as session:
        await _visit(session, address)
        awake = [await _visit(session, address) for _ in range(wakes)]
        frozen, failed = await _each(session, address, wakes, lambda: workspaces.freeze(user))
    added = [taken - median(awake) for taken in frozen]
    return [
        Figure("frozen: added by the wake, p95", percentile(added, 0.95), "ms", "limit", 60, 1.0),
        Figure("frozen: added by the wake, median", median(added), "ms", "limit", 60, 1.0),
        Figure(f"frozen: failures of {wakes}", failed, "visits", "limit", 0, 0.0),
    ]


async def _against_the_engine(node: Node, user: str, address: str, wakes: int, folder: Path) -> Figure:
    """Visits and bare starts in turn, so that both meet the same machine."""
    ours: list[float] = []
    theirs: list[float] = []
    project = folder / "bare" / APP
    for name, text in _PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    async with Docker(url=node.docker_url) as docker, aiohttp.ClientSession() as session:
        port = free_port()
        container = await docker.containers.create(_bare(project, port))
        try:
            for _ in range(max(5, wakes // 10)):
                taken, failed = await _each(session, address, 1, lambda: node.services.workspaces.stop(user))
                if failed:
                    raise SystemExit("a visit to a stopped workspace was not answered")
                ours += taken
                theirs.append(await _started(container, session, port))
                await container.stop(t=1)
        finally:
            await container.delete(force=True)
    return Figure("stopped: visit, median", median(ours), "ms", "engine and server alone", median(theirs), 1.5)


def _bare(project: Path, port: int) -> dict[str, Any]:
    return {
        "Image": IMAGE,
        "Cmd": ["sleep", "2147483647"],
        "WorkingDir": "/app",
        "Env": ["PORT=5173", "HOME=/tmp"],
        "ExposedPorts": {"5173/tcp": {}},
        "HostConfig": {
            "Binds": [f"{project}:/app"],
            "Init": True,
            "NanoCpus": 10**9,
            "PortBindings": {"5173/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
        },
    }


async def _started(container: DockerContainer, session: aiohttp.ClientSession, port: int) -> float:
    """Milliseconds until the server of a container that was stopped answers."""
    began = time.perf_counter()
    await container.start()
    command = await container.exec(["npm", "run", "dev"])
    await command.start(detach=True)
    while True:
        with suppress(aiohttp.ClientError):
            await _visit(session, f"http://127.0.0.1:{port}/")
            return (time.perf_counter() - began) * 1000
        await asyncio.sleep(0.005)


async def _each(
    session: aiohttp.ClientSession, address: str, count: int, asleep: Callable[[], Awaitable[bool]]
) -> tuple[list[float], int]:
    """Milliseconds of each visit after it was put to sleep, and how many were not answered with the page."""
    taken, failed = [], 0
    for _ in range(count):
        # What the gateway found is good for a second.
        await asyncio.sleep(1.2)
        if not await asleep():
            raise SystemExit("the workspace did not go to sleep")
        try:
            taken.append(await _visit(session, address))
        except aiohttp.ClientError:
            failed += 1
    return taken, failed


async def _visit(session: aiohttp.ClientSession, address: str) -> float:
    """Milliseconds. Raises ClientError for any other answer than the page."""
    began = time.perf_counter()
    async with session.get(address) as answer:
        if answer.status != 200 or await answer.text() != PAGE:
            raise aiohttp.ClientPayloadError(f"{address} answered {answer.status}")
    return (time.perf_counter() - began) * 1000


async def _throughput(*addresses: str) -> list[Figure]:
    rates: dict[str, list[float]] = {address: [] for address in addresses}
    for _ in range(ROUNDS):
        for address, found in rates.items():
            found.append(await asyncio.to_thread(requests_per_second, address))
    asked, told, bare = (median(found) for found in rates.values())
    # As ratios of which at most so much may be: with the question there is at least 0.8 of the peer.
    return [
        Figure("without the question, requests/s", told, "/s", "preview, requests/s", asked, 1 / 0.8),
        Figure("... without any rule, requests/s", bare, "/s", "preview, requests/s", asked, 1 / 0.8),
    ]


def main(wakes: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    with (
        tempfile.TemporaryDirectory(prefix=f"funai-{secrets.token_hex(2)}-") as name,
        real.docker_engine(Path(name) / "engine") as docker_url,
    ):
        return show("previews", asyncio.run(measure(docker_url, Path(name), wakes)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.previews", description=__doc__.partition("\n")[0])
    parser.add_argument("--wakes", type=int, default=40, help="how many visits find the workspace asleep")
    raise SystemExit(main(parser.parse_args().wakes))
