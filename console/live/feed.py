"""The only reader of the network: follows the control plane for as long as it runs, whatever happens to the line.

A snapshot, then the events after it. A lost line, a cut stream or a `reset` leads back to a new snapshot, after a
back-off with full jitter. Nothing but cancellation ends it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from console.live.model import Clock, Link, LinkState, Live, Model
from console.live.plain import PlainText
from console.live.reduce import MOST_JOBS, apply, leases_near, load, reread
from console.live.tape import Applied, Loaded, NoTape, Published, Reread, Tape
from protocol.client.stream import backoff
from protocol.client.transport import ClientError, Unreachable
from protocol.events import AnyEvent, ResetEvent, Snapshot
from protocol.jobs import JobView

logger = logging.getLogger(__name__)
Pause = Callable[[float], Awaitable[None]]
Item = TypeVar("Item")
_ENDED: Final = "the control plane ended the stream"
#: At most one new value in so many seconds, however many events come: what is drawn is what counts.
FRAME_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 1.0
_MOST_REREAD: Final = 16
_LONGEST_PAUSE_SECONDS: Final = 1.5


class Source(Protocol):
    """Where the model comes from."""

    async def snapshot(self) -> Snapshot:
        """Everything, now. Raises ClientError."""
        ...

    def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        """Events after number `after`; ends or raises ClientError when the line is lost."""
        ...

    async def get(self, job_id: str) -> JobView:
        """One job as it is now. Raises ClientError."""
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
        self,
        source: Source,
        show: Callable[[Live], None],
        clock: Clock,
        pause: Pause = asyncio.sleep,
        most_jobs: int = MOST_JOBS,
        tape: Tape | None = None,
    ) -> None:
        self._source = source
        self._show = show
        self._clock = clock
        self._pause = pause
        self._most_jobs = most_jobs
        self._tape = tape or NoTape()
        self._live = Live()

    async def run(self) -> None:
        """Follow until cancelled."""
        waits = self._waits()
        while True:
            heard_before = self._live.link.heard_at
            problem = _ENDED
            try:
                await self._listen()
            except ClientError as error:
                problem = str(error)
            if self._live.link.heard_at != heard_before:
                waits = self._waits()
            seconds = next(waits)
            logger.info("The event stream was lost.", extra={"problem": problem, "retry_seconds": seconds})
            link = self._live.link
            retry_at = self._clock.monotonic() + seconds
            self._publish(replace(self._live, link=Link(LinkState.RECONNECTING, link.heard_at, retry_at, problem)))
            await self._pause(seconds)

    def _waits(self) -> Iterator[float]:
        """Whoever waits no longer than this is back within two seconds of the control plane's return."""
        return backoff(most=_LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> None:
        """One connection: returns when the stream ended."""
        model = self._take(self._live.model, await self._source.snapshot(), self._clock.monotonic())
        self._publish(Live(model, self._heard()))
        async with _closing(self._source.follow(model.seq)) as stream:
            batches = _Batches(stream)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(batches.read())
                try:
                    await self._draw(batches)
                finally:
                    reading.cancel()
        if batches.problem is not None:
            raise batches.problem

    async def _draw(self, batches: "_Batches") -> None:
        """A new value for every batch, at most one for each frame."""
        looked_at = self._clock.monotonic()
        while events := await batches.take():
            local = self._clock.monotonic()
            model = apply(self._model(), events, local, self._most_jobs)
            self._tape.put(Applied(local, tuple(events), self._most_jobs), model)
            if local - looked_at >= _LOOK_SECONDS:
                looked_at = local
                model = await self._reread(model, local)
            self._publish(Live(model, self._heard()))
            await self._pause(FRAME_SECONDS)

    async def _reread(self, model: Model, local: float) -> Model:
        """The model with leases read again that may have been renewed; as it was when they cannot be read now."""
        near = leases_near(model, local)
        try:
            if len(near) > _MOST_REREAD:
                newer = await self._source.snapshot()
                return self._take(model, newer, self._clock.monotonic()) if newer.seq >= model.seq else model
            jobs = {job_id: await self._source.get(job_id) for job_id in near}
        except ClientError as error:
            logger.info("Leases could not be read again.", extra={"problem": str(error)})
            return model
        if not jobs:
            return model
        found = reread(model, jobs, local)
        self._tape.put(Reread(local, jobs), found)
        return found

    def _take(self, before: Model | None, snapshot: Snapshot, local: float) -> Model:
        model = load(snapshot, local, before)
        self._tape.put(Loaded(local, snapshot), model)
        return model

    def _model(self) -> Model:
        if self._live.model is None:
            raise LookupError("no snapshot was read")
        return self._live.model

    def _heard(self) -> Link:
        return Link(LinkState.LIVE, self._clock.monotonic())

    def _publish(self, live: Live) -> None:
        self._live = live
        self._tape.put(Published(self._clock.monotonic(), live.link), live.model)
        self._show(live)


class _Batches:
    """The events of one connection, gathered while nobody takes them."""

    def __init__(self, stream: AsyncIterator[AnyEvent]) -> None:
        self.problem: ClientError | None = None
        self._stream = stream
        self._gathered: list[AnyEvent] = []
        self._news = asyncio.Event()
        self._ended = False

    async def read(self) -> None:
        """Read until the stream ends, is lost or begins anew."""
        try:
            async for event in self._stream:
                if isinstance(event, ResetEvent):
                    break
                self._gathered.append(event)
                self._news.set()
        except ClientError as error:
            self.problem = error
        finally:
            self._ended = True
            self._news.set()

    async def take(self) -> list[AnyEvent]:
        """What was gathered, as soon as there is something; nothing at the end."""
        await self._news.wait()
        taken, self._gathered = self._gathered, []
        if not self._ended:
            self._news.clear()
        return taken


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
