"""An app with requests of every length, for containers that hold nothing but Python: no import beyond its library.

`/` answers its name, `/slow?SECONDS` later, `/events` for ever, `/ws` is a WebSocket. At SIGTERM it does what a
well-behaved app does: no new connections, a close frame to every WebSocket, an end to every stream.
"""

import asyncio
import base64
import hashlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

NAME = sys.argv[1] if len(sys.argv) > 1 else "app"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_GOING_AWAY = b"\x88\x02\x03\xe9"
ending = asyncio.Event()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            if path.startswith("/ws"):
                await _socket(head, reader, writer)
                return
            if path.startswith("/events"):
                await _events(writer)
                return
            if path.startswith("/slow"):
                await asyncio.sleep(float(path.partition("?")[2]))
            body = NAME.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def _socket(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    named = (line.partition(b":") for line in head.split(b"\r\n"))
    key = next(value.strip() for name, _, value in named if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while not await _ended_within(0.2):
        writer.write(b"\x81\x04tick")
        await writer.drain()
    writer.write(_GOING_AWAY)
    await writer.drain()
    async with asyncio.timeout(5):
        await reader.read()


async def _events(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not await _ended_within(0.2):
        writer.write(b"c\r\ndata: tick\n\n\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _ended_within(seconds: float) -> bool:
    try:
        await asyncio.wait_for(ending.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def main() -> None:
    """Serve port 3000 until SIGTERM, then end what is open."""
    open_now: set[asyncio.Task[Any]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        work: Coroutine[Any, Any, None] = serve(reader, writer)
        await work
        open_now.discard(task)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    server = await asyncio.start_server(accepted, "0.0.0.0", 3000)
    await ending.wait()
    server.close()
    if open_now:
        await asyncio.wait(open_now, timeout=6)


if __name__ == "__main__":
    asyncio.run(main())
