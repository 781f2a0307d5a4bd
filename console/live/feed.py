"""The only reader of the network: follows the control plane for as long as it runs, whatever happens to the line.

A snapshot, then the events after it. A lost line, a cut stream or a `reset` leads back to a new snapshot, after a
back-off with full jitter. Nothing but cancellation ends it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from console.live.model import Clock, Link, LinkState, Live
from console.live.plain import PlainText
from console.live.reduce import apply, load, wants_snapshot
from protocol.client.stream import backoff
from protocol.client.transport import ClientError, Unreachable
from protocol.events import AnyEvent, ResetEvent, Snapshot
from protocol.jobs import JobView

logger = logging.getLogger(__name__)
Pause = Callable[[float], Awaitable[None]]
Item = TypeVar("Item")
_ENDED: Final = "the control plane ended the stream"


class Source(Protocol):
    """Where the model comes from."""

    async def snapshot(self) -> Snapshot:
        """Everything, now. Raises ClientError."""
        ...

    def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        """Events after number `after`; ends or raises ClientError when the line is lost."""
        ...


class LogSource(Protocol):
    """Where a job's log comes from."""

    def log(self, job_id: str, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """Bytes from `offset`; with `follow`, until the job or the control plane ended. Raises ClientError."""
        ...

    async def get(self, job_id: str) -> JobView:
        """The job. Raises ClientError."""
        ...


class Feed:
    """Keeps a `Live` value true and hands every new one to `show`."""

    def __init__(
        self, source: Source, show: Callable[[Live], None], clock: Clock, pause: Pause = asyncio.sleep
    ) -> None:
        self._source = source
        self._show = show
        self._clock = clock
        self._pause = pause
        self._live = Live()

    async def run(self) -> None:
        """Follow until cancelled."""
        waits = backoff()
        while True:
            heard_before = self._live.link.heard_at
            problem = _ENDED
            try:
                await self._listen()
            except ClientError as error:
                problem = str(error)
            if self._live.link.heard_at != heard_before:
                waits = backoff()
            seconds = next(waits)
            logger.info("The event stream was lost.", extra={"problem": problem, "retry_seconds": seconds})
            link = self._live.link
            retry_at = self._clock.monotonic() + seconds
            self._publish(replace(self._live, link=Link(LinkState.RECONNECTING, link.heard_at, retry_at, problem)))
            await self._pause(seconds)

    async def _listen(self) -> None:
        """One connection: returns when the stream ended."""
        model = load(await self._source.snapshot(), self._clock.monotonic())
        self._publish(Live(model, self._heard()))
        async with _closing(self._source.follow(model.seq)) as stream:
            async for event in stream:
                if isinstance(event, ResetEvent):
                    return
                local = self._clock.monotonic()
                model = apply(model, event, local)
                if wants_snapshot(model, local):
                    newer = await self._source.snapshot()
                    model = load(newer, self._clock.monotonic()) if newer.seq >= model.seq else model
                self._publish(Live(model, self._heard()))

    def _heard(self) -> Link:
        return Link(LinkState.LIVE, self._clock.monotonic())

    def _publish(self, live: Live) -> None:
        self._live = live
        self._show(live)


@dataclass(frozen=True, slots=True)
class LogPiece:
    """The next bytes of a log, from `offset`; `problem` says why the line is lost while it is."""

    offset: int
    data: bytes = b""
    problem: str | None = None


async def log_pieces(
    source: LogSource, job_id: str, *, follow: bool = True, offset: int = 0, pause: Pause = asyncio.sleep
) -> AsyncGenerator[LogPiece]:
    """A job's log from `offset`, until the job ended; a lost line is taken up again where it broke.

    Raises Refused when the control plane does not know the job or the operator, and, without `follow`, Unreachable.
    """
    waits = backoff()
    while True:
        before = offset
        try:
            async with _closing(source.log(job_id, offset=offset, follow=follow)) as chunks:
                async for data in chunks:
                    yield LogPiece(offset, data)
                    offset += len(data)
                    waits = backoff()
            if not follow or await _complete(source, job_id, before, offset):
                return
        except Unreachable as error:
            if not follow:
                raise
            yield LogPiece(offset, problem=str(error))
        await pause(next(waits))


async def _complete(source: LogSource, job_id: str, before: int, offset: int) -> bool:
    """Whether a followed stream ended with its job, and not with the control plane that served it."""
    job = await source.get(job_id)
    return job.status.terminal and (offset >= job.log_length or offset == before)


async def log_texts(source: LogSource, job_id: str, *, follow: bool = True) -> AsyncGenerator[str]:
    """A job's log as plain text, safe to show. Raises what `log_pieces` raises."""
    plain = PlainText()
    async with _closing(log_pieces(source, job_id, follow=follow)) as pieces:
        async for piece in pieces:
            text = plain.feed(piece.data)
            if text:
                yield text
    rest = plain.feed(b"", last=True)
    if rest:
        yield rest


@asynccontextmanager
async def _closing(items: AsyncIterator[Item]) -> AsyncIterator[AsyncIterator[Item]]:
    """Close a generator's connection when its reader leaves, not when it is collected."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
