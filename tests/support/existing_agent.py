"""A runtime agent that speaks exactly the contract of the existing one: it understands and says nothing more.

Ids must be JSON strings, unknown keys are ignored, a failed deployment is a bare 500 without any detail, two
deployments of one app at once are refused with 409.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

_FIELDS: Final = ("userId", "appId", "image")


@dataclass
class ExistingAgent:
    """What it was asked, and how it is to answer."""

    token: str
    deployments: list[dict[str, Any]] = field(default_factory=list)
    fails: bool = False
    hold: asyncio.Event | None = None
    _in_flight: set[tuple[str, str]] = field(default_factory=set)

    async def health(self, _request: web.Request) -> web.Response:
        """Open to anyone."""
        return web.json_response({"ok": True})

    async def deploy(self, request: web.Request) -> web.Response:
        """`POST /agent/apps/deploy`."""
        if request.headers.get("X-Runtime-Token") != self.token:
            return web.json_response({"detail": "unauthorized"}, status=401)
        body = await request.json()
        wrong = [name for name in _FIELDS if not isinstance(body.get(name), str) or not body[name]]
        port = body.get("containerPort", 3000)
        if wrong or not isinstance(port, int) or not isinstance(body.get("basePath", ""), str):
            detail = [{"loc": ["body", name], "msg": "str type expected", "type": "type_error.str"} for name in wrong]
            return web.json_response({"detail": detail}, status=422)
        key = (body["userId"], body["appId"])
        if key in self._in_flight:
            return web.json_response({"detail": "deployment in progress"}, status=409)
        self._in_flight.add(key)
        try:
            self.deployments.append(body)
            if self.hold:
                await self.hold.wait()
        finally:
            self._in_flight.discard(key)
        if self.fails:
            return web.Response(text="Internal Server Error", status=500, content_type="text/plain")
        name = f"rt-u-{body['userId']}-{body['appId']}"
        answer = {
            "appId": body["appId"],
            "containerName": name,
            "status": "DEPLOYED",
            "previewUrl": f"http://gateway.example{body.get('basePath') or '/runtime/' + body['appId']}/",
        }
        return web.json_response(answer)


@asynccontextmanager
async def existing_agent(token: str) -> AsyncIterator[tuple[ExistingAgent, str]]:
    """The agent and its address, for the duration of the block."""
    agent = ExistingAgent(token)
    app = web.Application()
    app.add_routes([web.get("/internal/health", agent.health), web.post("/agent/apps/deploy", agent.deploy)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield agent, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
