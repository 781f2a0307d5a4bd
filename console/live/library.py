"""Reads what the shown page needs beside the snapshot, again and again while it is shown, and takes in what the event
stream tells of it in between.

One library serves one control plane. A line that is lost or a refusal ends nothing: what was read stays, with its age
and what is wrong.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from console.live.beside import Beside, Fetched
from console.live.books import Books, Portion, reader
from console.live.feed import Source
from console.live.ledger import after
from console.live.model import Clock, Live
from console.live.refusals import explain
from console.live.topics import parts
from console.live.words import t
from protocol.client.transport import ClientError, Unreachable
from protocol.events import AnyEvent, AppEvent, JobEvent, OperationEvent, PlacementEvent, Snapshot
from protocol.jobs import JobView

_LOOK_SECONDS: Final = 0.5
#: What follows the event stream is read again so soon, and never so often that reading is what most time goes into.
_FOLLOW_SECONDS: Final = 1.0
_REST_FACTOR: Final = 4.0
_KEPT_TOPICS: Final = 64
_STIRRING: Final = (JobEvent, AppEvent, PlacementEvent, OperationEvent)


class Library:
    """`furnish` gives a model what is known beside it; `changed` is called when there is more to show."""

    def __init__(self, books: Books, clock: Clock, changed: Callable[[], None]) -> None:
        self._books = books
        self._clock = clock
        self._changed = changed
        self._beside = Beside()
        self._wanted: tuple[str, ...] = ()
        self._older: set[str] = set()
        self._busy: set[str] = set()
        self._news: list[AnyEvent] = []
        self._stirred_at = float("-inf")
        self._call = asyncio.Event()

    @property
    def beside(self) -> Beside:
        """What is known."""
        return self._beside

    def want(self, wanted: Iterable[str]) -> None:
        """From now on read these and no others."""
        found = tuple(wanted)
        if found != self._wanted:
            self._wanted = found
            self._call.set()

    def want_older(self, topic: str) -> None:
        """Read where the topic goes on, if it does."""
        known = self._beside.fetched.get(topic)
        if known is not None and known.older is not None and not known.reading:
            self._older.add(topic)
            self._call.set()

    def stir(self) -> None:
        """Something was changed from here: what follows changes is read again soon."""
        self._stirred_at = self._clock.monotonic()

    def furnish(self, live: Live) -> Live:
        """The same with what is known beside it."""
        if live.model is None:
            return live
        now = live.model.server_time(self._clock.monotonic())
        self._beside.backlog.follow(live.model.jobs)
        self._beside.trends.note(now, live.model.nodes.values(), self._beside.backlog.waiting)
        news, self._news = self._news, []
        if news:
            self._beside = after(self._beside, news)
        return replace(live, model=replace(live.model, beside=self._beside))

    def tapped(self, source: Source) -> "Tap":
        """The source, which lets the library hear every event."""
        return Tap(source, self._news_came)

    def _news_came(self, event: AnyEvent) -> None:
        self._news.append(event)
        if isinstance(event, _STIRRING):
            self.stir()

    async def run(self) -> None:
        """Read until cancelled. A topic that answers slowly keeps no other one back."""
        async with asyncio.TaskGroup() as group:
            while True:
                for topic, cursor in self._next():
                    self._busy.add(topic)
                    group.create_task(self._read(topic, cursor))
                await self._rest()

    def _next(self) -> list[tuple[str, str | None]]:
        """What is to be read now, and from where on."""
        older, self._older = self._older, set()
        found: list[tuple[str, str | None]] = [(topic, self._known(topic).older) for topic in older]
        found += [(topic, None) for topic in self._wanted if topic not in older and self._due(topic)]
        return [(topic, cursor) for topic, cursor in found if topic not in self._busy]

    async def _rest(self) -> None:
        """Until another page is shown, or a moment is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._call.wait()
        self._call.clear()

    def _due(self, topic: str) -> bool:
        known = self._beside.fetched.get(topic)
        if known is None or known.tried_at is None:
            return True
        how, rested = reader(topic), self._clock.monotonic() - known.tried_at
        if how.follows and known.asked_at is not None and self._stirred_at >= known.asked_at:
            took = known.tried_at - known.asked_at
            return rested >= max(_FOLLOW_SECONDS, _REST_FACTOR * took)
        return rested >= how.seconds

    async def _read(self, topic: str, cursor: str | None) -> None:
        self._put(topic, replace(self._known(topic), reading=True, asked_at=self._clock.monotonic()))
        _, subject = parts(topic)
        try:
            portion = await reader(topic).read(self._books, subject, cursor)
        except ClientError as error:
            tried_at, sentence = self._clock.monotonic(), explain(error, t("This could not be read"))
            self._put(topic, replace(self._known(topic), reading=False, tried_at=tried_at, problem=sentence))
            return
        finally:
            self._busy.discard(topic)
        read_at = self._clock.monotonic()
        known = _merged(self._known(topic), portion, further=cursor is not None)
        self._put(topic, replace(known, reading=False, problem=None, read_at=read_at, tried_at=read_at))

    def _known(self, topic: str) -> Fetched:
        return self._beside.fetched.get(topic, Fetched())

    def _put(self, topic: str, found: Fetched) -> None:
        self._beside = _bounded(self._beside.with_topic(topic, found), self._wanted)
        self._changed()


async def read_once(books: Books, wanted: Iterable[str], most: int) -> Beside:
    """What topics hold, each read once and as far back as `most` objects; of what can be spared, why it is not there.
    Raises ClientError."""
    beside = Beside()
    for topic in wanted:
        _, subject = parts(topic)
        try:
            portion = await reader(topic).read(books, subject, None)
        except ClientError as error:
            if not reader(topic).spare or isinstance(error, Unreachable):
                raise
            problem = explain(error, t("This could not be read"))
            beside = beside.with_topic(topic, Fetched(read_at=0, tried_at=0, problem=problem))
            continue
        known = _merged(Fetched(read_at=0, tried_at=0), portion, further=True)
        while known.older is not None and len(known.objects) < most:
            portion = await reader(topic).read(books, subject, known.older)
            known = _merged(known, portion, further=True)
        beside = beside.with_topic(topic, known)
    return beside


class Tap:
    """A source that lets somebody else hear its events."""

    def __init__(self, source: Source, hear: Callable[[AnyEvent], None]) -> None:
        self._source = source
        self._hear = hear

    async def snapshot(self) -> Snapshot:
        """As the source."""
        return await self._source.snapshot()

    async def get(self, job_id: str) -> JobView:
        """As the source."""
        return await self._source.get(job_id)

    async def follow(self, after: int) -> AsyncGenerator[AnyEvent]:
        """As the source, and each is heard."""
        stream = self._source.follow(after)
        try:
            async for event in stream:
                self._hear(event)
                yield event
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()


def _merged(known: Fetched, portion: Portion, *, further: bool) -> Fetched:
    """A first page that does not reach what is known leaves a gap: then what is known is given up."""
    if portion.whole:
        return replace(known.merged(portion.objects, whole=True), older=None)
    if further or known.read_at is None:
        return replace(known.merged(portion.objects, whole=False), older=portion.older)
    if portion.older is None or any(key in known.objects for key in portion.objects):
        return known.merged(portion.objects, whole=False)
    return replace(known.merged(portion.objects, whole=True), older=portion.older)


def _bounded(beside: Beside, wanted: tuple[str, ...]) -> Beside:
    """Without the topics that were read longest ago, once there are many."""
    if len(beside.fetched) <= _KEPT_TOPICS:
        return beside
    kept = dict(beside.fetched)
    for topic in list(kept)[: len(kept) - _KEPT_TOPICS]:
        if topic not in wanted:
            del kept[topic]
    return replace(beside, fetched=MappingProxyType(kept))
