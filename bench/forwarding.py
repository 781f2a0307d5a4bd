"""What the way through the API costs: a call of a workspace's files, forwarded and direct, one after the other in one
run; and what the API holds for lines on which nothing happens. API, node and the end of the lines are processes of
their own; the API's database is SQLite in a file.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import uvloop
from aiohttp import web

from bench.figures import Figure, median, percentile, show
from bench.servers import child, free_port, resident_mb, wait_for
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_calls import FILES, SECRET, SignedCalls, files_node

PREFIX: Final = "/api/fun-ai/workspace"
CALLS, BATCH = 2000, 50
LINES, LINES_OF_ONE = 2000, 100
USERS = 1 + LINES // LINES_OF_ONE
OVERHEAD_MS, LINES_MB = 3.0, 300.0
_SETTLE_SECONDS: Final = 5.0


def token(user: int) -> str:
    """What the API knows a user of the benchmark by."""
    return f"token-of-user-{user:06}"


async def serve(what: str, port: int, folder: Path) -> None:
    """Be one of the processes, until ended."""
    async with AsyncExitStack() as stack:
        if what == "api":
            tokens = {user: token(user) for user in range(1, USERS + 1)}
            await stack.enter_async_context(served_api(folder, SECRET, tokens, port))
        elif what == "node":
            node = await stack.enter_async_context(files_node(folder, port=port))
            await node.homes.ready("1")
        else:
            await stack.enter_async_context(_lines(port))
        await asyncio.Event().wait()


@asynccontextmanager
async def _lines(port: int) -> AsyncIterator[None]:
    """A node of lines alone, which it pings as terminals are."""

    async def line(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        async for _ in socket:
            continue
        return socket

    app = web.Application()
    app.router.add_get(f"{PREFIX}/terminal", line)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix="funai-bench-") as name, ExitStack() as stack:
        ports, pids = {}, {}
        for what in ("api", "node", "lines"):
            ports[what], place = free_port(), Path(name) / what
            place.mkdir()
            argv = [sys.executable, "-m", "bench.forwarding", what, str(ports[what]), str(place)]
            process = stack.enter_context(child(argv, {"FUNAI_LOG_LEVEL": "WARNING"}))
            wait_for(ports[what], process)
            pids[what] = process.pid
        urls = {what: f"http://127.0.0.1:{port}" for what, port in ports.items()}
        app_id = await _prepare(urls)
        forwarded, direct = await _calls(urls, app_id)
        before = resident_mb(pids["api"])
        held = await _idle(urls["api"], pids["api"])
    over = median(forwarded) - median(direct)
    return show(
        "forwarding to workspace nodes",
        [
            Figure("a forwarded call over a direct one, p50", over, "ms", "limit", OVERHEAD_MS, 1.0),
            Figure("a forwarded call, p50", median(forwarded), "ms", "direct", median(direct), 100.0),
            Figure(
                "a forwarded call, p99", percentile(forwarded, 0.99), "ms", "direct", percentile(direct, 0.99), 100.0
            ),
            Figure(f"the API with {LINES} idle lines", held, "MB", "limit", LINES_MB, 1.0),
            Figure("the API before", before, "MB", "limit", LINES_MB, 1.0),
        ],
    )


async def _prepare(urls: dict[str, str]) -> str:
    """User 1 lives on the node with an app in which one file lies, all others where lines end."""
    await hear(urls["api"], urls["node"], "node")
    await hear(urls["api"], urls["lines"], "lines")
    async with httpx.AsyncClient(base_url=urls["api"], trust_env=False, verify=False, timeout=30) as client:
        for user in range(1, USERS + 1):
            order = {"userId": user, "targetNodeId": 1 if user == 1 else 2}
            path = "/api/fun-ai/admin/workspace-nodes/reassign"
            (await client.post(path, json=order, headers={ADMIN_TOKEN: ADMIN})).raise_for_status()
        mine = bearer(token(1))
        made = (await client.post("/api/fun-ai/app/create", headers=mine)).raise_for_status()
        app_id = str(made.json()["data"]["id"])
        (await client.post(f"{FILES}/ensure-dir?appId={app_id}", headers=mine)).raise_for_status()
        body = {"appId": app_id, "path": "a.txt", "content": "x" * 1000}
        (await client.post(f"{FILES}/content", json=body, headers=mine)).raise_for_status()
    return app_id


async def _calls(urls: dict[str, str], app_id: str) -> tuple[list[float], list[float]]:
    """Milliseconds of the same question, through the API and directly, in turns."""
    forwarded: list[float] = []
    direct: list[float] = []
    path, headers = f"{urls['api']}{FILES}/content?appId={app_id}&path=a.txt", bearer(token(1))
    async with aiohttp.ClientSession() as session:
        signed = SignedCalls(session, urls["node"])
        query = {"userId": "1", "appId": app_id, "path": "a.txt"}
        for _ in range(CALLS // BATCH):
            for _ in range(BATCH):
                began = time.perf_counter()
                async with session.get(path, headers=headers) as answer:
                    await answer.read()
                    assert answer.status == 200
                forwarded.append((time.perf_counter() - began) * 1000)
            for _ in range(BATCH):
                began = time.perf_counter()
                assert (await signed.call("GET", f"{FILES}/content", query)).status == 200
                direct.append((time.perf_counter() - began) * 1000)
    return forwarded[BATCH:], direct[BATCH:]


async def _idle(api: str, pid: int) -> float:
    """Megabytes of the API while all lines are open and nothing is said on them."""
    connector = aiohttp.TCPConnector(limit=0)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        for number in range(LINES):
            headers = bearer(token(2 + number // LINES_OF_ONE))
            await stack.enter_async_context(session.ws_connect(f"{api}{PREFIX}/terminal", headers=headers))
        await asyncio.sleep(_SETTLE_SECONDS)
        return resident_mb(pid)


if __name__ == "__main__":
    uvloop.install()
    if len(sys.argv) > 1:
        asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
    raise SystemExit(asyncio.run(main()))
