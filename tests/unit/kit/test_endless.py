"""Answers without an end, and a server that stops."""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from aiohttp import web

from daemons.kit.endless import break_off_at_shutdown
from daemons.kit.sse import Frame, stream
from tests.support.eventually import eventually


async def test_who_follows_for_ever_keeps_no_server_from_stopping_and_who_waits_for_an_end_gets_it() -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def says_one_thing() -> AsyncGenerator[bytes, None]:
        try:
            yield Frame("news", b"{}").wire
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def follow(request: web.Request) -> web.StreamResponse:
        return await stream(request, says_one_thing())

    async def finite(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await may_end.wait()
        await response.write(b"whole")
        return response

    app = web.Application()
    app.add_routes([web.get("/events", follow), web.get("/file", finite)])
    break_off_at_shutdown(app)
    # It waits for as long as it takes for what has an end.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3600)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session, session.get(f"{url}/file") as file:
        async with session.get(f"{url}/events") as events:
            assert await events.content.readuntil(b"\n\n") == Frame("news", b"{}").wire
            stopping = asyncio.create_task(runner.cleanup())
            await ended.wait()
            with pytest.raises(aiohttp.ClientError):
                await events.read()
        assert not stopping.done()
        may_end.set()
        assert await file.read() == b"whole"
    async with asyncio.timeout(60):
        await stopping


async def test_one_that_ended_by_itself_is_none_of_the_servers_business() -> None:
    answered = asyncio.Event()

    async def short() -> AsyncGenerator[bytes, None]:
        yield Frame("news", b"{}").wire

    async def follow(request: web.Request) -> web.StreamResponse:
        response = await stream(request, short())
        answered.set()
        return response

    app = web.Application()
    app.add_routes([web.get("/events", follow)])
    break_off_at_shutdown(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/events") as events,
    ):
        assert await events.read() == Frame("news", b"{}").wire
    await eventually(lambda: asyncio.sleep(0, answered.is_set()))
    await runner.cleanup()
