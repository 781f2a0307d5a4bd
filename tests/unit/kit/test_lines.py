"""Lines over a real server: who is slow is waited for, who is gone is given up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from daemons.kit.lines import Frame, Line, LineLost, answered
from daemons.kit.tasks import first
from protocol.client.socket import ClientLine, NotOpened, opened
from protocol.client.transport import Unreachable

_BEAT, _SILENCE = 0.05, 0.3
Handler = Callable[[Line], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address of a line."""

    async def handle(request: web.Request) -> web.StreamResponse:
        async with answered(request, _BEAT, _SILENCE) as line:
            await handler(line)
        return line.response

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


class Ends:
    """A handler that notes what it receives until the other side is gone."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.gone = asyncio.Event()

    async def __call__(self, line: Line) -> None:
        while (frame := await line.receive()) is not None:
            self.frames.append(frame)
        self.gone.set()


async def test_frames_go_both_ways_and_an_end_is_a_close_frame() -> None:
    async def echo(line: Line) -> None:
        for _ in range(2):
            frame = await line.receive()
            assert frame is not None
            await line.send(frame)

    async with serving(echo) as url, opened(url, {}) as line:
        for frame in (b"\x03", "text"):
            await line.send(frame)
            assert await line.receive() == frame
        assert await line.receive() is None


async def test_a_silent_side_that_answers_pings_is_kept() -> None:
    ends = Ends()
    async with serving(ends) as url, opened(url, {}) as line:
        waiting = asyncio.timeout(3 * _SILENCE)
        with pytest.raises(TimeoutError):
            async with waiting:
                await line.receive()
        await line.send(b"still here")
    async with asyncio.timeout(60):
        await ends.gone.wait()
    assert ends.frames == [b"still here"]


async def test_a_side_that_answers_nothing_is_given_up() -> None:
    ends = Ends()
    async with serving(ends) as url, opened(url, {}), asyncio.timeout(60):
        # Nobody reads here, so no ping is answered.
        await ends.gone.wait()


async def test_a_side_that_takes_nothing_is_given_up() -> None:
    lost = asyncio.Event()

    async def pour(line: Line) -> None:
        try:
            while True:
                await line.send(bytes(64 * 1024))
        except LineLost:
            lost.set()

    async with serving(pour) as url, opened(url, {}), asyncio.timeout(60):
        await lost.wait()


async def test_what_asks_for_no_line_gets_none() -> None:
    async with serving(Ends()) as url:
        with pytest.raises(NotOpened):
            async with opened(url, {"Origin": "https://elsewhere.example"}):
                pass
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status >= 400
    with pytest.raises(Unreachable):
        async with opened(url, {}):
            pass


async def test_a_broken_line_is_noticed_by_the_caller() -> None:
    async def leave(line: Line) -> None:
        await line.receive()

    async def until_lost(line: ClientLine) -> None:
        while True:
            await line.send(b"x")
            await asyncio.sleep(0.01)

    async with serving(leave) as url, opened(url, {}) as line, asyncio.timeout(60):
        await line.send(b"x")
        assert await line.receive() is None
        with pytest.raises(Unreachable):
            await until_lost(line)


async def test_the_first_to_end_ends_the_others() -> None:
    ended = asyncio.Event()

    async def never() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async def now(word: str) -> str:
        return word

    async def fails() -> str:
        raise LineLost("gone")

    assert await first(never(), now("one"), now("two")) == "one"
    assert ended.is_set()
    with pytest.raises(LineLost):
        await first(never(), fails())
