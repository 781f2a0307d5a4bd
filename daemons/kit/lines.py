"""A WebSocket as a two-way line of frames: none is taken before the one before was, and an end is noticed.

Each side sends a ping every 15 s; where nothing at all has come for a minute of waiting, the other side is gone. The
minute counts while we wait for it, not while we are busy: a side that is slow to take what we send it is not dead.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from daemons.kit.bodies import InvalidRequest
from daemons.kit.tasks import every, running

BEAT_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 60.0
#: The longest frame that is taken.
MOST_BYTES: Final = 256 * 1024
_CLOSE_SECONDS: Final = 2.0

Frame = bytes | str


class LineLost(Exception):
    """The other side is gone, or takes nothing any more."""


class Line(Protocol):
    """One side of a line."""

    async def receive(self) -> Frame | None:
        """The next frame; None when the other side has closed, is gone, or was silent for a minute."""
        ...

    async def send(self, frame: Frame) -> None:
        """Returns when there is room for more. Raises LineLost when there is none for a minute."""
        ...


class ServerLine:
    """The side of the server."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, silence_seconds: float) -> None:
        self.response = socket
        self._request = request
        self._silence_seconds = silence_seconds

    async def receive(self) -> Frame | None:
        """See `Line`."""
        while True:
            try:
                async with asyncio.timeout(self._silence_seconds):
                    message = await self.response.receive()
            except TimeoutError:
                return None
            if message.type is WSMsgType.PING:
                await self._beat_back(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                frame: Frame = message.data
                return frame
            elif message.type is not WSMsgType.PONG:
                return None

    async def send(self, frame: Frame) -> None:
        """See `Line`."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                await (self.response.send_bytes(frame) if isinstance(frame, bytes) else self.response.send_str(frame))
        except (TimeoutError, ConnectionError) as error:
            raise LineLost("the other side takes nothing any more") from error

    async def beat(self) -> None:
        """One ping."""
        try:
            await self.response.ping()
        except ConnectionError:
            return

    async def close(self, code: WSCloseCode) -> None:
        """Say goodbye; who does not answer at once is cut off."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.response.close(code=code)
        if self._request.transport is not None:
            self._request.transport.close()

    async def _beat_back(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._silence_seconds):
                await self.response.pong(data)
        except (TimeoutError, ConnectionError):
            return


@asynccontextmanager
async def answered(
    request: web.Request, beat_seconds: float = BEAT_SECONDS, silence_seconds: float = SILENCE_SECONDS
) -> AsyncIterator[ServerLine]:
    """The request as a line; it is closed at the end of the block. Raises InvalidRequest for one that is not asked to
    become a WebSocket, and for one by a browser's page: none of ours is such, and pages of others could not be told
    apart where no token is asked for."""
    if "Origin" in request.headers:
        raise InvalidRequest("a line is not opened for a page in a browser", ["Origin"])
    socket = web.WebSocketResponse(
        timeout=_CLOSE_SECONDS, autoping=False, compress=False, max_msg_size=MOST_BYTES, writer_limit=64 * 1024
    )
    if not socket.can_prepare(request):
        raise InvalidRequest("this is a WebSocket; ask for it to be opened as one", ["Upgrade"])
    await socket.prepare(request)
    line = ServerLine(request, socket, silence_seconds)
    code = WSCloseCode.INTERNAL_ERROR
    try:
        async with running(lambda: every(beat_seconds, line.beat)):
            yield line
        code = WSCloseCode.OK
    finally:
        await line.close(code)
