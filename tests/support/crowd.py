"""Visitors of every kind at once, who keep count of what must never happen: a request that fails or is reset, a
WebSocket that ends without a close frame, an event stream that breaks off."""

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each; `rate` is of short requests per second, over `connections` that are kept alive."""

    rate: float
    connections: int
    sockets: int
    streams: int
    slow: int
    slow_seconds: float


@dataclass
class Crowd:
    """Visitors of one app behind 127.0.0.1:`port`."""

    port: int
    prefix: str
    size: Size
    done: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def visiting(self) -> AsyncIterator[None]:
        """For the block; what is under way at its end is let finish, but for what never ends."""
        kinds: list[tuple[int, str, Callable[[], Awaitable[None]]]] = [
            (self.size.connections, "request", self._ask),
            (self.size.slow, "slow", self._wait),
            (self.size.sockets, "socket", self._talk),
            (self.size.streams, "stream", self._listen),
        ]
        async with asyncio.TaskGroup() as group:
            endless = []
            for count, kind, visit in kinds:
                tasks = [group.create_task(self._again(kind, visit)) for _ in range(count)]
                endless += tasks if kind in ("socket", "stream") else []
            yield
            self._leaving.set()
            for task in endless:
                task.cancel()

    async def _again(self, kind: str, visit: Callable[[], Awaitable[None]]) -> None:
        while not self._leaving.is_set():
            try:
                await visit()
            except (OSError, EOFError, ValueError) as error:
                self.failures.append(f"{kind}: {error!r}")
                await asyncio.sleep(0.05)

    async def _ask(self) -> None:
        """One connection's life."""
        pause = self.size.connections / self.size.rate
        reader, writer = await self._open()
        try:
            while not self._leaving.is_set():
                if not await self._request(reader, writer, "/", "request"):
                    return
                await asyncio.sleep(pause)
        finally:
            writer.close()

    async def _wait(self) -> None:
        reader, writer = await self._open()
        try:
            await self._request(reader, writer, f"/slow?{self.size.slow_seconds}", "slow")
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, kind: str) -> bool:
        """Whether the connection may be used again. Raises EOFError, OSError and ValueError."""
        writer.write(f"GET {self.prefix}{path} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(f"{head.splitlines()[0]!r} {body[:300]!r}")
        self.done[kind] += 1
        self.names[body.decode()] += 1
        return b"connection: close" not in head

    async def _talk(self) -> None:
        reader, writer = await self._open()
        try:
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            writer.write(
                f"GET {self.prefix}/ws HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head:
                raise ValueError(f"no WebSocket: {head!r}")
            while True:
                kind, size = await reader.readexactly(2)
                await reader.readexactly(size)
                if kind == 0x88:
                    break
            writer.write(b"\x88\x80\x00\x00\x00\x00")
            self.done["socket"] += 1
        finally:
            writer.close()

    async def _listen(self) -> None:
        reader, writer = await self._open()
        try:
            writer.write(
                f"GET {self.prefix}/events HTTP/1.1\r\nHost: crowd\r\nAccept: text/event-stream\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.splitlines()[0]:
                raise ValueError(f"no stream: {head!r}")
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            self.done["stream"] += 1
        finally:
            writer.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)
