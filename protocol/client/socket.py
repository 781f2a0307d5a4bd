"""The caller's side of a line: a WebSocket of frames, none of which is sent before there is room for it.

A server pings every 15 s. Where nothing at all came for a minute of waiting, it is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from protocol.client.transport import ClientError, Unreachable

_CONNECT_SECONDS: Final = 5.0
_OPEN_SECONDS: Final = 30.0
_SILENCE_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 2.0
_MOST_BYTES: Final = 256 * 1024


class NotOpened(ClientError):
    """The server answered something else than an open line, with this HTTP status; asked without an upgrade it says
    why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the line was not opened (HTTP {status})")
        self.status = status


class ClientLine:
    """One open line."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes | str | None:
        """The next frame; None when the server has closed, is gone, or was silent for a minute."""
        while True:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    message = await self._socket.receive()
            except TimeoutError:
                return None
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                frame: bytes | str = message.data
                return frame
            if message.type is aiohttp.WSMsgType.PING:
                await self._pong(message.data)
            elif message.type is not aiohttp.WSMsgType.PONG:
                return None

    async def send(self, frame: bytes | str) -> None:
        """Returns when there is room for more. Raises Unreachable when there is none for a minute."""
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                await (self._socket.send_bytes(frame) if isinstance(frame, bytes) else self._socket.send_str(frame))
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            raise Unreachable("the line is broken") from error

    async def _pong(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                await self._socket.pong(data)
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return


@asynccontextmanager
async def opened(url: str, headers: Mapping[str, str], *, seconds: float = _OPEN_SECONDS) -> AsyncIterator[ClientLine]:
    """A line to an http(s) address, opened within so many seconds; it is closed at the end of the block. Entering it
    raises NotOpened and Unreachable."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        try:
            async with asyncio.timeout(seconds):
                socket = await session.ws_connect(
                    url,
                    headers=headers,
                    autoping=False,
                    max_msg_size=_MOST_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise NotOpened(error.status) from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{url} does not answer ({type(error).__name__})") from error
        try:
            yield ClientLine(socket)
        finally:
            await _close(socket)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    try:
        async with asyncio.timeout(2 * _CLOSE_SECONDS):
            await socket.close()
    except (TimeoutError, ConnectionError, aiohttp.ClientError):
        return
