"""Many lines through a real API server: each carries what is said on it, and nothing is left of one that has ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import psutil
import pytest
from aiohttp import web

from daemons.api.domain.forwarding import PREFIX
from protocol.client.api import bearer
from tests.http.api.conftest import OTHER, OWNER, Api
from tests.http.api.test_forwarding import placed
from tests.support.eventually import eventually

LINES = 200


class Terminals:
    """A node's end of lines, which it pings as nodes do."""

    def __init__(self) -> None:
        self.open: set[web.WebSocketResponse] = set()

    async def line(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=0.5)
        await socket.prepare(request)
        self.open.add(socket)
        try:
            async for message in socket:
                await socket.send_str(message.data)
        finally:
            self.open.discard(socket)
        return socket


@pytest.fixture
async def terminals(api: Api) -> AsyncIterator[Terminals]:
    terminals, app = Terminals(), web.Application()
    app.router.add_get(f"{PREFIX}/terminal", terminals.line)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await placed(api, f"http://127.0.0.1:{runner.addresses[0][1]}", 1, 2)
    yield terminals
    await runner.cleanup()


async def files() -> int:
    """What this process has open, sockets included."""
    return await asyncio.to_thread(psutil.Process().num_fds)


async def test_many_lines_each_echo_and_leave_nothing(api: Api, terminals: Terminals) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        before, tasks = await files(), len(asyncio.all_tasks())
        async with AsyncExitStack() as lines:
            opened = []
            for number in range(LINES):
                who = OWNER if number % 2 else OTHER
                line = session.ws_connect(f"{api.url}{PREFIX}/terminal", headers=bearer(who))
                opened.append(await lines.enter_async_context(line))
            assert len(terminals.open) == LINES

            async def echo(number: int) -> str:
                await opened[number].send_str(f"line {number}")
                return str((await opened[number].receive(60)).data)

            heard = await asyncio.gather(*map(echo, range(LINES)))
            assert heard == [f"line {number}" for number in range(LINES)]

        async def nothing_left() -> bool:
            # What is kept alive for the next call is counted by its own limits: a few connections of the test itself.
            return not terminals.open and len(asyncio.all_tasks()) <= tasks + 2 and await files() <= before + 4

        await eventually(nothing_left)
