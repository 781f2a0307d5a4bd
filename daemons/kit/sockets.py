"""WebSockets that are passed on: what comes in at one end goes out at the other, pings and how it ends included."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientWebSocketResponse, WSMsgType, web

from daemons.kit.tasks import first

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
REFUSED: Final = 1008
BROKEN: Final = 1011
RESTARTING: Final = 1012
#: Nobody takes a frame for so long: whoever reads is gone.
_SEND_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 2.0
_FRAMES: Final = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an end closed."""

    code: int
    reason: bytes = b""


class End:
    """One of the two, opened with `autoping=False`."""

    def __init__(self, socket: web.WebSocketResponse | ClientWebSocketResponse, silence: float | None = None) -> None:
        """After `silence` seconds in which nothing came, it counts as gone."""
        self._socket = socket
        self._silence = silence

    async def pass_to(self, other: "End") -> Ended:
        """Send on whatever comes, until this end closes or the other one takes nothing any more."""
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    message: Any = await self._socket.receive()
            except TimeoutError:
                return Ended(BROKEN, b"nothing was heard for too long")
            if message.type not in _FRAMES:
                return _ended(message.type, message.data, message.extra)
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await other.send(message.type, message.data)
            except (TimeoutError, ConnectionError):
                return Ended(GOING_AWAY)

    async def send(self, kind: WSMsgType, data: str | bytes) -> None:
        """Returns when there is room for more. Raises ConnectionError."""
        socket = self._socket
        if isinstance(data, str):
            await socket.send_str(data)
        elif kind is WSMsgType.BINARY:
            await socket.send_bytes(data)
        elif kind is WSMsgType.PING:
            await socket.ping(bytes(data))
        else:
            await socket.pong(bytes(data))

    async def close(self, ended: Ended) -> None:
        """Close with that code; one that is closed already stays so."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(code=ended.code, message=ended.reason)


async def bridge(one: End, other: End) -> None:
    """Until either closes; the other closes the same way."""

    async def forth() -> tuple[End, Ended]:
        return other, await one.pass_to(other)

    async def back() -> tuple[End, Ended]:
        return one, await other.pass_to(one)

    left, ended = await first(forth(), back())
    await left.close(ended)


def _ended(kind: WSMsgType, data: object, extra: str | None) -> Ended:
    """Codes that may not be sent stand for how a socket ended without one."""
    if kind is not WSMsgType.CLOSE:
        return Ended(BROKEN if kind is WSMsgType.ERROR else GOING_AWAY)
    code = data if isinstance(data, int) else 0
    if not 1000 <= code <= 4999 or code in (1004, 1005, 1006, 1015):
        return Ended(NORMAL)
    return Ended(code, (extra or "").encode()[:120])
