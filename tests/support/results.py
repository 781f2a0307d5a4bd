"""A receiver of job results: a real server that answers as it is told, and checks every signature."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from daemons.deploy.adapters.webhook import HttpReceiver, open_receiver
from daemons.kit.clock import SystemClock
from protocol import headers
from protocol.webhooks import JobEnded, check_signature

SECRET = "webhook-secret-of-the-tests"
HANGS = -1


@dataclass
class Listener:
    """What was delivered, in order, with the answer it got. `script` holds the next answers; then 200 for ever."""

    url: str = ""
    script: list[int] = field(default_factory=list)
    heard: list[tuple[JobEnded, int]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    forgotten: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        """Take or refuse one."""
        body = await request.read()
        given = request.headers
        stamp, signed = given[headers.DELIVERY_TIMESTAMP], given[headers.DELIVERY_SIGNATURE]
        check_signature([SECRET], stamp, signed, body, int(time.time()))
        told = JobEnded.model_validate_json(body)
        assert given[headers.DELIVERY_ID] == told.id
        status = self.script.pop(0) if self.script else 200
        self.heard.append((told, status))
        self.news.set()
        if status == HANGS:
            await self.forgotten.wait()
        location = {"Location": f"{self.url}/elsewhere"} if status in (301, 302, 307, 308) else {}
        return web.Response(status=max(status, 200), headers=location, text="a secret of the receiver")

    async def until(self, count: int) -> list[JobEnded]:
        """All that was delivered, once it is so much."""
        async with asyncio.timeout(60):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()
        return [told for told, _ in self.heard]

    def taken(self) -> Iterator[JobEnded]:
        """What was answered 200."""
        return (told for told, status in self.heard if status == 200)


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """A listener on a port of its own."""
    listener = Listener()
    app = web.Application()
    app.add_routes([web.post("/results", listener.take), web.post("/elsewhere", listener.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield listener
    finally:
        listener.forgotten.set()
        await runner.cleanup()


@asynccontextmanager
async def receiving(seconds: float = 5.0) -> AsyncIterator[tuple[Listener, HttpReceiver]]:
    """A listener, and the adapter that delivers to it."""
    async with (
        listening() as listener,
        open_receiver(f"{listener.url}/results", [SECRET], SystemClock(), seconds=seconds) as receiver,
    ):
        yield listener, receiver
