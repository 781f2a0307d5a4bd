"""Server-sent events to many subscribers.

Each subscriber has a bounded queue. One that falls behind is cut off: its connection ends and it resumes from the
last id it saw, so a slow reader costs a fixed amount of memory and never delays the others.
Format: WHATWG HTML, "Server-sent events", section "Parsing an event stream".
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from aiohttp import web

Item = TypeVar("Item")
_QUEUE_ITEMS: Final = 1024


class Subscription(Generic[Item]):
    """One subscriber's queue; iterating ends when the subscriber was too slow or the broadcast closed."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue(_QUEUE_ITEMS)
        self._cut = False

    def offer(self, item: Item) -> None:
        """Queue an item, or cut the subscriber off when its queue is full."""
        if self._cut:
            return
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        """End the subscription; what is still queued is dropped."""
        self._cut = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self, seconds: float) -> Item | None:
        """The next item. Raises TimeoutError after `seconds` of silence; None once the subscription was cut."""
        if self._cut and self._queue.empty():
            return None
        async with asyncio.timeout(seconds):
            return await self._queue.get()


class Broadcast(Generic[Item]):
    """Hands every published item to every subscriber."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription[Item]] = set()

    @contextmanager
    def subscribed(self) -> Iterator[Subscription[Item]]:
        """A subscription for the duration of the block."""
        subscription: Subscription[Item] = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    @property
    def watched(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._subscriptions)

    def publish(self, item: Item) -> None:
        """Offer an item to all."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(item)

    def close(self) -> None:
        """End every subscription, as before a shutdown."""
        for subscription in tuple(self._subscriptions):
            subscription.cut()


@dataclass(frozen=True, slots=True)
class Frame:
    """One event on the stream; `data` is one line of JSON."""

    event: str
    data: bytes
    id: int | None = None

    def encode(self) -> bytes:
        """The frame as bytes."""
        head = f"id: {self.id}\n" if self.id is not None else ""
        return f"{head}event: {self.event}\n".encode() + b"data: " + self.data + b"\n\n"


async def stream(request: web.Request, frames: AsyncGenerator[Frame, None]) -> web.StreamResponse:
    """Write frames until they end or the reader goes away, then close their source."""
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        async with aclosing(frames):
            async for frame in frames:
                await response.write(frame.encode())
        await response.write_eof()
    except ConnectionResetError:
        return response
    return response
