"""What the way through the API costs: a call of a workspace's files, forwarded and direct, one after the other in one
run. API and node are processes of their own; the API's database is SQLite in a file. What idle lines cost is in
`bench/websockets.py`.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import uvloop

from bench.figures import Figure, median, percentile, show
from bench.servers import child, free_port, wait_for
from protocol.client.api import bearer
from tests.support.served_api import hear, served_api
from tests.support.workspace_calls import FILES, SECRET, SignedCalls, files_node

PREFIX: Final = "/api/fun-ai/workspace"
CALLS, BATCH = 2000, 50
OVERHEAD_MS = 3.0
TOKEN: Final = "token-of-the-user-012345"


async def serve(what: str, port: int, folder: Path) -> None:
    """Be one of the processes, until ended."""
    async with AsyncExitStack() as stack:
        if what == "api":
            await stack.enter_async_context(served_api(folder, SECRET, {1: TOKEN}, port))
        else:
            node = await stack.enter_async_context(files_node(folder, port=port))
            await node.homes.ready("1")
        await asyncio.Event().wait()


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix="funai-bench-") as name, ExitStack() as stack:
        ports = {}
        for what in ("api", "node"):
            ports[what], place = free_port(), Path(name) / what
            place.mkdir()
            argv = [sys.executable, "-m", "bench.forwarding", what, str(ports[what]), str(place)]
            process = stack.enter_context(child(argv, {"FUNAI_LOG_LEVEL": "WARNING"}))
            wait_for(ports[what], process)
        urls = {what: f"http://127.0.0.1:{port}" for what, port in ports.items()}
        app_id = await _prepare(urls)
        forwarded, direct = await _calls(urls, app_id)
    over = median(forwarded) - median(direct)
    return show(
        "forwarding to workspace nodes",
        [
            Figure("a forwarded call over a direct one, p50", over, "ms", "limit", OVERHEAD_MS, 1.0),
            Figure("a forwarded call, p50", median(forwarded), "ms", "direct", median(direct), 100.0),
            Figure(
                "a forwarded call, p99", percentile(forwarded, 0.99), "ms", "direct", percentile(direct, 0.99), 100.0
            ),
        ],
    )


async def _prepare(urls: dict[str, str]) -> str:
    """User 1 lives on the node with an app in which one file lies."""
    await hear(urls["api"], urls["node"], "node")
    async with httpx.AsyncClient(base_url=urls["api"], trust_env=False, verify=False, timeout=30) as client:
        mine = bearer(TOKEN)
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
    path, headers = f"{urls['api']}{FILES}/content?appId={app_id}&path=a.txt", bearer(TOKEN)
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


if __name__ == "__main__":
    uvloop.install()
    if len(sys.argv) > 1:
        asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
    raise SystemExit(asyncio.run(main()))
