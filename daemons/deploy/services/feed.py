"""The event log as a live stream to many watchers, in order, without loss or duplicates.

One reader per process follows the log with `domain.events.advance` and broadcasts what it reads. A watcher first gets
what it missed, read from the store up to the reader's place, then everything the reader publishes from there on.
Figures of nodes and runners are compared once a second and published, without a number, when they changed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Final

import orjson

from daemons.deploy.domain import views
from daemons.deploy.domain.events import Event, Tail, advance
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.reading import Thresholds
from daemons.kit.clock import Clock
from daemons.kit.sse import Broadcast, Frame, Subscription
from protocol.events import BeatEvent, NodeEvent, ResetEvent, RunnerEvent

_POLL_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 5.0
_PAGE: Final = 500
_LOOK_BACK: Final = 256

logger = logging.getLogger(__name__)


class Feed:
    """`run` reads the log, `figures` publishes what is not in it, `follow` is one watcher's stream."""

    def __init__(self, store: Store, bells: Bells, clock: Clock, thresholds: Thresholds) -> None:
        self._store = store
        self._bells = bells
        self._clock = clock
        self._thresholds = thresholds
        self._broadcast: Broadcast[Frame] = Broadcast()
        self._tail = Tail(0)
        self._ready = asyncio.Event()
        self._shown: dict[tuple[str, str], bytes] = {}

    async def step(self) -> None:
        """Wait for news, at most half a second, and publish it."""
        try:
            if not self._ready.is_set():
                await self._begin()
            await self._bells.feed.wait(_POLL_SECONDS)
            await self.read()
        except StoreUnavailable:
            await asyncio.sleep(_POLL_SECONDS)
            raise

    async def read(self) -> None:
        """Publish what can be published now."""
        while True:
            before = self._tail
            rows = await self._store.transact(_page_after(before.seq))
            self._tail, shown = advance(before, rows, asyncio.get_running_loop().time())
            for event in shown:
                self._broadcast.publish(frame_of(event))
            if len(rows) < _PAGE or not shown:
                return

    async def place(self) -> int:
        """Every event up to this number is settled: a snapshot read after it contains them."""
        await self._ready.wait()
        return self._tail.seq

    async def follow(self, after: int | None) -> AsyncGenerator[Frame, None]:
        """Events after number `after` (None: from now on), and a beat after five quiet seconds. When the events asked
        for are gone there is one `reset`; after it, and when the store does not answer, the stream ends."""
        await self._ready.wait()
        with self._broadcast.subscribed() as subscription:
            self._shown.clear()
            place = self._tail.seq
            last = place if after is None else after
            try:
                if await self._gone(last, place):
                    yield Frame("reset", ResetEvent(seq=place).to_json())
                    return
                yield self._beat()
                while missed := await self._missed(last, place):
                    for frame in missed:
                        yield frame
                        last = frame.id or last
            except StoreUnavailable as error:
                logger.warning("an event stream was cut off", extra={"error": str(error)})
                return
            async for frame in self._live(subscription):
                if frame.id is None or frame.id > last:
                    yield frame

    async def _missed(self, last: int, place: int) -> list[Frame]:
        rows = [row for row in await self._store.transact(_page_after(last)) if row.seq <= place]
        return [frame_of(row) for row in rows]

    async def _live(self, subscription: Subscription[Frame]) -> AsyncGenerator[Frame, None]:
        while not self._bells.closing:
            try:
                frame = await subscription.next(_BEAT_SECONDS)
            except TimeoutError:
                frame = self._beat()
            if frame is None:
                return
            yield frame

    async def figures(self) -> None:
        """Publish each node's and runner's view that changed since it was last published."""
        if not self._broadcast.watched:
            return
        for key, frame in (await self._store.transact(self._figures)).items():
            if self._shown.get(key) != frame.data:
                self._shown[key] = frame.data
                self._broadcast.publish(frame)

    def close(self) -> None:
        """End every stream."""
        self._broadcast.close()

    async def _begin(self) -> None:
        async def work(tx: Transaction) -> tuple[int, int]:
            return await tx.event_bounds()

        lowest, highest = await self._store.transact(work)
        self._tail = Tail(max(0, lowest - 1, highest - _LOOK_BACK))
        await self.read()
        self._ready.set()

    async def _gone(self, last: int, place: int) -> bool:
        async def work(tx: Transaction) -> tuple[int, int]:
            return await tx.event_bounds()

        lowest, highest = await self._store.transact(work)
        if last > max(highest, place):
            return True
        return last < place and (lowest == 0 or lowest > last + 1)

    async def _figures(self, tx: Transaction) -> Mapping[tuple[str, str], Frame]:
        now, found = await tx.now(), {}
        at, counts = views.when(now), await tx.count_placements()
        for node in await tx.nodes():
            view = views.node_view(node, self._thresholds.policy, now, counts.get(node.id, 0))
            event = NodeEvent(at=view.last_heartbeat_at or at, change="figures", actor="control-plane", node=view)
            found["node", node.name] = Frame("node", event.to_json())
        for runner in await tx.runners():
            seen = views.runner_view(runner, self._thresholds.runner_stale_ms, now)
            heard = RunnerEvent(at=views.when(runner.last_seen_at), runner=seen)
            found["runner", runner.id] = Frame("runner", heard.to_json())
        return found

    def _beat(self) -> Frame:
        return Frame("beat", BeatEvent(at=self._clock.now()).to_json())


def frame_of(event: Event) -> Frame:
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
    return Frame(event.kind, orjson.dumps(body, option=orjson.OPT_UTC_Z), event.seq)


def _page_after(seq: int) -> Callable[[Transaction], Awaitable[list[Event]]]:
    async def work(tx: Transaction) -> list[Event]:
        return list(await tx.events_after(seq, _PAGE))

    return work
