"""What the API holds for terminals on which nobody types: 2,000 WebSockets through the API's own command, each of a
person who has logged in, to an aiohttp server that plays the node's end and pings each line as nodes do.

The API starts with as few open files as a shell gives (1,024), and must help itself to more: a line needs two.
"""

import asyncio
import contextlib
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import uvloop
from aiohttp import web

from bench.figures import Figure, show
from bench.servers import child, free_port, resident_mb, wait_for
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN

PREFIX: Final = "/api/fun-ai/workspace"
LINES, LINES_OF_ONE = 2000, 100
USERS: Final = LINES // LINES_OF_ONE
LIMIT_MB = 300.0
#: Nodes ping every 20 s; here as often as makes each line carry several pings while memory is looked at.
_PING_SECONDS, _SETTLE_SECONDS = 2.0, 10.0
_LEFT_SECONDS, _LONGEST_SECONDS = 3.0, 60.0
_PASSWORD: Final = "correct horse battery staple"
_FEW_FILES: Final = ("sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh")


async def lines(port: int) -> None:
    """Be the node's end of lines, until ended."""

    async def line(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=_PING_SECONDS)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get(f"{PREFIX}/terminal", line)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


def environment(port: int, folder: Path) -> dict[str, str]:
    """What the API is started with."""
    names = (
        "API_ADMIN_TOKEN",
        "API_USER_TOKEN",
        "API_JWT_SECRET",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET",
        "FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET",
    )
    made = {name: secrets.token_urlsafe(32) for name in names}
    return {**made, "API_PORT": str(port), "API_DB_URL": f"sqlite:///{folder}/api.db", "FUNAI_LOG_LEVEL": "WARNING"}


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix="funai-bench-") as name:
        api, node = free_port(), free_port()
        told = environment(api, Path(name))
        command = [*_FEW_FILES, sys.executable, "-m", "daemons.api"]
        with (
            child(command, told) as process,
            child([sys.executable, "-m", "bench.websockets", str(node)], {}) as other,
        ):
            wait_for(api, process)
            wait_for(node, other)
            url = f"http://127.0.0.1:{api}"
            tokens = await _people(url, f"http://127.0.0.1:{node}", told)
            before = resident_mb(process.pid)
            asked = asyncio.Event()
            async with _open(url, tokens, asked) as echoing:
                await asyncio.sleep(_SETTLE_SECONDS)
                held = resident_mb(process.pid)
                asked.set()
                alive = sum(await asyncio.gather(*echoing))
            await asyncio.sleep(_LEFT_SECONDS)
            after = resident_mb(process.pid)
            left = _sockets(process.pid)
    return show(
        "idle WebSockets through the API",
        [
            Figure(f"the API with {LINES} idle lines", held, "MB", "limit", LIMIT_MB, 1.0),
            Figure("lines that echo after that", alive, "", "opened", LINES, 1.0),
            Figure("lines that do not", LINES - alive, "", "opened", LINES, 0.0),
            Figure("the API before", before, "MB", "limit", LIMIT_MB, 1.0),
            Figure("the API after all were closed", after, "MB", "with them", held, 1.05),
            Figure("its open sockets then", left, "", "with them", 2.0 * LINES, 0.02),
        ],
    )


async def _people(api: str, node: str, told: Mapping[str, str]) -> list[str]:
    """Access tokens of people who live on the node."""
    admin = {ADMIN_TOKEN: told["API_ADMIN_TOKEN"]}
    beat = {"nodeName": "lines", "nginxBaseUrl": node, "apiBaseUrl": node}
    async with httpx.AsyncClient(base_url=f"{api}/api/fun-ai", trust_env=False, verify=False, timeout=30) as client:
        of_node = {WORKSPACE_NODE_TOKEN: told["FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET"]}
        (await client.post("/admin/workspace-nodes/heartbeat", json=beat, headers=of_node)).raise_for_status()
        tokens = []
        for number in range(USERS):
            person = {"userName": f"person{number}", "password": _PASSWORD}
            order = {**person, "role": "user"}
            (await client.post("/admin/users/create", json=order, headers=admin)).raise_for_status()
            found = (await client.post("/auth/login", json=person)).raise_for_status().json()["data"]
            tokens.append(str(found["accessToken"]))
    return tokens


@asynccontextmanager
async def _open(api: str, tokens: list[str], asked: asyncio.Event) -> AsyncIterator[list[asyncio.Task[bool]]]:
    """All lines, each read from the moment that it is open."""
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        reading = []
        for number in range(LINES):
            headers = bearer(tokens[number // LINES_OF_ONE])
            opening = session.ws_connect(f"{api}{PREFIX}/terminal", headers=headers)
            reading.append(group.create_task(_echoes(await stack.enter_async_context(opening), asked)))
        yield reading


async def _echoes(socket: aiohttp.ClientWebSocketResponse, asked: asyncio.Event) -> bool:
    """Answers pings until it is asked to say something, and whether that comes back."""

    async def says() -> None:
        await asked.wait()
        with contextlib.suppress(ConnectionError):
            await socket.send_str("there?")

    async with asyncio.timeout(_LONGEST_SECONDS):
        heard, _ = await asyncio.gather(socket.receive(), says())
    return bool(heard.data == "there?")


def _sockets(pid: int) -> int:
    folder = Path(f"/proc/{pid}/fd")
    return sum(str(each.readlink()).startswith("socket:") for each in folder.iterdir())


if __name__ == "__main__":
    uvloop.install()
    if len(sys.argv) > 1:
        asyncio.run(lines(int(sys.argv[1])))
    raise SystemExit(asyncio.run(main()))
