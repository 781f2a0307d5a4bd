"""Server-sent events to many subscribers.

What is published is encoded once and queued, as the same bytes, for everybody. A queue is bounded: a subscriber that
falls behind is cut off, its connection ends and it resumes from the last id it saw, so a slow reader costs a fixed
amount of memory and never delays the others.
Format: WHATWG HTML, "Server-sent events", section "Parsing an event stream".
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.kit.endless import endless

_QUEUE_BYTES: Final = 1024 * 1024
#: A reader that takes nothing for so long is cut off: a full socket raises no error of its own.
_WRITE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One event on the stream; `data` is one line of JSON. `wire` are its bytes."""

    event: str
    data: bytes
    id: int | None = None
    wire: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        head = f"id: {self.id}\n" if self.id is not None else ""
        object.__setattr__(self, "wire", f"{head}event: {self.event}\n".encode() + b"data: " + self.data + b"\n\n")


class Burst:
    """Frames that are published together, the numbered ones in rising order; their bytes are joined once."""

    __slots__ = ("frames", "wire")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = tuple(frames)
        self.wire = b"".join(frame.wire for frame in self.frames)

    def after(self, number: int) -> bytes:
        """The bytes of the frames that somebody who has seen `number` lacks; frames without a number always."""
        if all(frame.id is None or frame.id > number for frame in self.frames):
            return self.wire
        return b"".join(frame.wire for frame in self.frames if frame.id is None or frame.id > number)


class Subscription:
    """One subscriber's bounded queue."""

    def __init__(self) -> None:
        self._queue: deque[Burst] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._ended = False

    def offer(self, burst: Burst) -> bool:
        """Queue a burst, or cut the subscriber off when its queue is full; False when that happened just now."""
        if self._ended:
            return True
        if self._bytes and self._bytes + len(burst.wire) > _QUEUE_BYTES:
            self.cut()
            return False
        self._queue.append(burst)
        self._bytes += len(burst.wire)
        self._news.set()
        return True

    def cut(self) -> None:
        """End the subscription; what is still queued is dropped."""
        self._ended = True
        self._queue.clear()
        self._news.set()

    async def next(self, seconds: float) -> Sequence[Burst] | None:
        """All that is queued, as soon as there is something. Raises TimeoutError after `seconds` of silence; None once
        the subscription was cut."""
        async with asyncio.timeout(seconds):
            await self._news.wait()
        if self._ended:
            return None
        taken = tuple(self._queue)
        self._queue.clear()
        self._bytes = 0
        self._news.clear()
        return taken


class Broadcast:
    """Hands every published burst to every subscriber; `dropped` counts those that were too slow."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self.dropped = 0

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """A subscription for the duration of the block."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    @property
    def watchers(self) -> int:
        """How many are subscribed."""
        return len(self._subscriptions)

    def publish(self, *frames: Frame) -> None:
        """Offer frames to all."""
        if not frames or not self._subscriptions:
            return
        burst = Burst(frames)
        for subscription in tuple(self._subscriptions):
            self.dropped += not subscription.offer(burst)

    def close(self) -> None:
        """End every subscription, as before a shutdown."""
        for subscription in tuple(self._subscriptions):
            subscription.cut()


async def stream(request: web.Request, chunks: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Write encoded frames until they end or the reader goes away or stops reading, then close their source."""
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        with endless(request):
            async with aclosing(chunks):
                async for chunk in chunks:
                    if chunk:
                        async with asyncio.timeout(_WRITE_SECONDS):
                            await response.write(chunk)
        await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionResetError:
        return response
    return response
