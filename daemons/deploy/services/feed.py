"""The event log as a live stream to many watchers, in order, without loss or duplicates.

One reader per process follows the log with `domain.events.advance` and broadcasts what it reads, encoded once for all.
A watcher first gets what it missed, read from the store up to the reader's place, then everything the reader publishes
from there on; so it may come from another replica, with the number it saw last. What is not in the log (`Vitals`) is
compared once a second and published, without a number, when it changed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import orjson

from daemons.deploy.domain import views
from daemons.deploy.domain.events import Event, Tail, advance, leaps
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.reading import Thresholds, explained, look
from daemons.deploy.services.vitals import Vitals
from daemons.kit.clock import Clock
from daemons.kit.sse import Broadcast, Burst, Frame, Subscription
from protocol.events import BeatEvent, ResetEvent
from protocol.jobs import WaitingFor

_POLL_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 5.0
#: The first event after a quiet moment goes out at once, what follows together: a job's events come in bursts.
_APART_SECONDS: Final = 0.1
_PAGE: Final = 500
#: So far before the newest number a reader begins, and so far it looks for numbers that open transactions hold.
_LOOK_BACK: Final = 256
_LOOK_FAR_BACK: Final = 10_000
#: Changes that leave a job PENDING.
_TO_PENDING: Final = frozenset({"created", "requeued"})

logger = logging.getLogger(__name__)


class Feed:
    """`step` reads the log, `figures` publishes what is not in it, `follow` is one watcher's stream."""

    def __init__(self, store: Store, bells: Bells, clock: Clock, thresholds: Thresholds) -> None:
        self._store = store
        self._bells = bells
        self._clock = clock
        self._thresholds = thresholds
        self._broadcast = Broadcast()
        self._vitals = Vitals(thresholds)
        self._tail = Tail(0)
        self._ready = asyncio.Event()
        self._next_at = 0.0

    @property
    def watchers(self) -> int:
        """How many streams are open."""
        return self._broadcast.watchers

    @property
    def dropped(self) -> int:
        """How many watchers were cut off because they were too slow."""
        return self._broadcast.dropped

    async def step(self) -> None:
        """Wait for news, at most half a second, and publish it."""
        try:
            if not self._ready.is_set():
                await self._begin()
            await self._bells.feed.wait(_POLL_SECONDS)
            await asyncio.sleep(self._next_at - asyncio.get_running_loop().time())
            self._next_at = asyncio.get_running_loop().time() + _APART_SECONDS
            await self.read()
        except StoreUnavailable:
            await asyncio.sleep(_POLL_SECONDS)
            raise

    async def read(self) -> None:
        """Publish what can be published now."""
        while True:
            before = self._tail
            rows = await self._store.transact(_page_after(before.seq))
            moment = asyncio.get_running_loop().time()
            after, shown = advance(before, rows, moment)
            if leaps(before, shown):
                held = await self._held(before.seq, shown[-1].seq, {row.seq for row in rows})
                after, shown = advance(before, rows, moment, held)
            self._tail = after
            self._vitals.heard(shown)
            if self._broadcast.watchers:
                self._broadcast.publish(*await self._frames(shown))
            if len(rows) < _PAGE or not shown:
                return

    async def place(self) -> int:
        """Every event up to this number is settled: a snapshot read after it contains them."""
        await self._ready.wait()
        return self._tail.seq

    async def follow(self, after: int | None) -> AsyncGenerator[bytes, None]:
        """Events after number `after` (None: from now on), and a beat after five quiet seconds. When the events asked
        for are gone there is one `reset`; after it, and when the store does not answer, the stream ends."""
        await self._ready.wait()
        if not self._broadcast.watchers:
            self._vitals.forget()
        with self._broadcast.subscribed() as subscription:
            place = self._tail.seq
            last = place if after is None else after
            try:
                if await self._gone(last, place):
                    yield Frame("reset", ResetEvent(seq=place).to_json()).wire
                    return
                yield self._beat()
                while missed := await self._missed(last, place):
                    yield Burst(missed).wire
                    last = missed[-1].id or last
            except StoreUnavailable as error:
                logger.warning("an event stream was cut off", extra={"error": str(error)})
                return
            yield Burst(self._vitals.last()).wire
            async for chunk in self._live(subscription, last):
                yield chunk

    async def figures(self) -> None:
        """Publish what changed beside the log since it was last published."""
        if self._broadcast.watchers:
            self._broadcast.publish(*self._vitals.news(await self._store.transact(self._vitals.read)))

    def close(self) -> None:
        """End every stream."""
        self._broadcast.close()

    async def _live(self, subscription: Subscription, last: int) -> AsyncGenerator[bytes, None]:
        while not self._bells.closing:
            try:
                bursts = await subscription.next(_BEAT_SECONDS)
            except TimeoutError:
                yield self._beat()
                continue
            if bursts is None:
                return
            yield b"".join(burst.after(last) for burst in bursts)

    async def _missed(self, last: int, place: int) -> list[Frame]:
        return await self._frames([row for row in await self._store.transact(_page_after(last)) if row.seq <= place])

    async def _frames(self, events: Sequence[Event]) -> list[Frame]:
        """The events as they are sent; those of jobs that are PENDING say why."""
        pending = {event.subject: orjson.loads(event.body) for event in events if _to_pending(event)}
        app_ids = {str(body["appId"]) for body in pending.values()}

        async def work(tx: Transaction) -> Mapping[str, WaitingFor]:
            jobs = [job for job in (await tx.pending_of(app_ids)).values() if job.id in pending]
            return await explained(tx, jobs, await look(tx, self._thresholds)) if jobs else {}

        waits: Mapping[str, WaitingFor] = {}
        try:
            waits = await self._store.transact(work) if pending else {}
        except StoreUnavailable as error:
            logger.warning("events were sent without what their jobs wait for", extra={"error": str(error)})
        self._vitals.told(waits)
        return [frame_of(event, waits.get(event.subject) if _to_pending(event) else None) for event in events]

    async def _begin(self) -> None:
        async def work(tx: Transaction) -> tuple[int, int]:
            return await tx.event_bounds()

        lowest, highest = await self._store.transact(work)
        low = max(0, lowest - 1, highest - _LOOK_FAR_BACK)
        held = await self._held(low, highest, await self._store.transact(_numbers(low, highest, uncommitted=False)))
        self._tail = Tail(max(low, min([highest - _LOOK_BACK, *(number - 1 for number in held)])))
        await self.read()
        self._ready.set()

    async def _held(self, low: int, high: int, known: frozenset[int] | set[int]) -> frozenset[int]:
        """Numbers that an open transaction holds, or that were committed a moment ago and are not known yet."""
        return await self._store.transact(_numbers(low, high, uncommitted=True)) - known

    async def _gone(self, last: int, place: int) -> bool:
        async def work(tx: Transaction) -> tuple[int, int]:
            return await tx.event_bounds()

        lowest, highest = await self._store.transact(work)
        if last > max(highest, place):
            return True
        return last < place and (lowest == 0 or lowest > last + 1)

    def _beat(self) -> bytes:
        return Frame("beat", BeatEvent(at=self._clock.now()).to_json()).wire


def frame_of(event: Event, waiting: WaitingFor | None = None) -> Frame:
    """A row of the log as it is sent: its stored body inside an envelope of number, time, change and actor."""
    body: dict[str, object] = {
        "kind": event.kind,
        "seq": event.seq,
        "at": views.when(event.at),
        "actor": event.actor.name,
    }
    if event.kind in ("placement", "app"):
        body["appId"] = event.subject
    if event.kind != "placement":
        body["change"] = event.change
    body[event.kind] = orjson.Fragment(event.body)
    if waiting is not None:
        body[event.kind] = {**orjson.loads(event.body), "waitingFor": waiting.to_data()}
    return Frame(event.kind, orjson.dumps(body, option=orjson.OPT_UTC_Z), event.seq)


def _to_pending(event: Event) -> bool:
    return event.kind == "job" and event.change in _TO_PENDING


def _page_after(seq: int) -> Callable[[Transaction], Awaitable[list[Event]]]:
    async def work(tx: Transaction) -> list[Event]:
        return list(await tx.events_after(seq, _PAGE))

    return work


def _numbers(low: int, high: int, *, uncommitted: bool) -> Callable[[Transaction], Awaitable[frozenset[int]]]:
    async def work(tx: Transaction) -> frozenset[int]:
        return await tx.event_numbers(low, high, uncommitted=uncommitted)

    return work
