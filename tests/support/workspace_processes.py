"""Workspace nodes and an API as processes that are killed in the middle of what they do, and a line to each node that
says when: before an order reached it, while a pass is under way, or after the answer that nobody gets any more."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
from aiohttp import web
from yarl import URL

from tests.support.eventually import eventually
from tests.support.real import free_port
from tests.support.workspace_node import GATEWAY_TOKEN, SECRET, swept

_HOP = ("transfer-encoding", "connection", "keep-alive")


@dataclass
class Killable:
    """A process that comes back on the same port."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """It serves."""
        with self.log.open("ab") as log:
            self.process = await asyncio.to_thread(
                subprocess.Popen, self.argv, env={**os.environ, **self.environment}, stdout=log, stderr=log
            )
        await eventually(self._serves)

    def strike(self) -> None:
        """It gets the signal that nobody can catch."""
        assert self.process is not None
        self.process.kill()

    async def kill(self) -> None:
        """It is gone."""
        self.strike()
        await self.gone()

    async def gone(self) -> None:
        """It is gone, some time after the signal."""
        assert self.process is not None
        await asyncio.to_thread(self.process.wait)

    async def revive(self) -> None:
        """It serves, even if it was dead."""
        if self.process is None or self.process.poll() is not None:
            await self.start()

    async def _serves(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                return (await client.get(f"{self.url}/internal/health")).status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Line:
    """The way from the API to a node; `armed` is the order, and when of it, at which the victim is killed."""

    node: str
    url: str = ""
    armed: tuple[str, str] | None = None
    victim: Killable | None = None
    fired: asyncio.Event = field(default_factory=asyncio.Event)

    def _strike(self, request: web.Request, order: str, when: str) -> None:
        if self.armed != (order, when) or self.victim is None:
            return
        self.armed = None
        # At once and unawaited: what dies may end the very task that this is.
        self.victim.strike()
        self.fired.set()
        raise ConnectionResetError

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """A call and its answer, as they come."""
        order = request.path.rsplit("/", 1)[-1]
        headers = {name: value for name, value in request.headers.items() if name.casefold() not in _HOP}
        data = self._pieces(request, order) if request.body_exists else None
        url = URL(self.node + request.raw_path, encoded=True)
        try:
            return await self._passed(request, order, url, headers, data)
        except (aiohttp.ClientError, ConnectionError):
            # The node is gone, or the API: so is the line between them.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _passed(
        self,
        request: web.Request,
        order: str,
        url: URL,
        headers: Mapping[str, str],
        data: AsyncIterator[bytes] | None,
    ) -> web.StreamResponse:
        self._strike(request, order, "before")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, url, headers=headers, data=data, allow_redirects=False) as answer,
        ):
            body = [piece async for piece in answer.content.iter_any()] if order != "send" else []
            self._strike(request, order, "after")
            told = {name: value for name, value in answer.headers.items() if name.casefold() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=told)
            await response.prepare(request)
            for piece in body:
                await response.write(piece)
            if order == "send":
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                    self._strike(request, order, "amid")
            await response.write_eof()
            return response

    async def _pieces(self, request: web.Request, order: str) -> AsyncIterator[bytes]:
        async for piece in request.content.iter_any():
            yield piece
            self._strike(request, order, "amid")


@asynccontextmanager
async def line(node: str) -> AsyncIterator[Line]:
    """A line to the node at that address."""
    found = Line(node)
    app = web.Application(client_max_size=2**40)
    app.router.add_route("*", "/{path:.*}", found.pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@asynccontextmanager
async def node_process(docker_url: str, folder: Path, name: str, ports: int) -> AsyncIterator[Killable]:
    """A node as it is installed; what it made is removed afterwards."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    environment = {
        "WORKSPACE_PORT": str(port),
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET": SECRET,
        "FUNAI_WORKSPACE_NGINXAUTHTOKEN": GATEWAY_TOKEN,
        "FUNAI_WORKSPACE_HOSTROOT": str(folder / "root"),
        "FUNAI_WORKSPACE_STATEROOT": str(folder / "state"),
        "FUNAI_WORKSPACE_IMAGE": "busybox:1.36",
        "FUNAI_WORKSPACE_IMAGEPULLPOLICY": "NEVER",
        "FUNAI_WORKSPACE_DISKQUOTA": "64m",
        "FUNAI_WORKSPACE_HOSTPORTBASE": str(ports),
        "FUNAI_WORKSPACE_HOSTPORTSCANSIZE": "50",
        "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_NAME": name,
        "DOCKER_HOST": docker_url,
    }
    argv = [sys.executable, "-m", "daemons.workspace"]
    process = Killable(argv, environment, f"http://127.0.0.1:{port}", folder / "node.log")
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
        await asyncio.to_thread(swept, docker_url, name, folder)


@asynccontextmanager
async def api_process(folder: Path, tokens: Mapping[str, str]) -> AsyncIterator[Killable]:
    """An API over a database in the folder, for users with these tokens."""
    port, users = free_port(), [f"{user}={token}" for user, token in tokens.items()]
    argv = [sys.executable, "-m", "tests.support.served_api_process", str(folder), str(port), SECRET, *users]
    process = Killable(argv, {}, f"http://127.0.0.1:{port}", folder / "api.log")
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
