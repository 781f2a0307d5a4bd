"""Keeps the layers that builds leave, for the next builds, as long as there is room.

Every build passes a gate, so that nothing is removed while one runs: what it has just found may have no name and no
container yet. Below the line old layers go as soon as no build runs. Below half of it no build begins before that. What
a build makes is noted while it runs, so that a runner that was killed still knows its own.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from daemons.runner.domain.layers import Use, key, removable, told
from daemons.runner.domain.room import Room, RoomLine, size
from daemons.runner.ports import (
    BuildOrder,
    LayerMeter,
    LayerNotes,
    LayerStore,
    LogSink,
    NoLayers,
    Pacer,
    ReadyBuilder,
)

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10.0
_BATCH: Final = 20
#: Buildah looks through all of them for each instruction.
_MOST_LAYERS: Final = 2000
#: As many lines of a build that may tell of layers are believed before the builder itself is asked which there are.
_UNPROVEN: Final = 1000
_APP_LABEL: Final = "funai.app-id"
_LONGEST_LINE: Final = 200


class LayerCache:
    """The layers of one builder's store; `now` is the time in epoch seconds."""

    def __init__(
        self,
        store: LayerStore,
        notes: LayerNotes,
        line: RoomLine,
        meter: LayerMeter,
        pacer: Pacer,
        now: Callable[[], float],
    ) -> None:
        self.notes = notes
        self._store = store
        self._line = line
        self._meter = meter
        self._pacer = pacer
        self._now = now
        self._builds = 0
        self._waiting = 0
        self._lacking = ""
        self._gate = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._in_vain = False
        self._left_last = 0
        self._problem: str | None = None

    @asynccontextmanager
    async def building(self, app_id: str, log: LogSink) -> AsyncIterator["SeenLayers"]:
        """A build in the block finds the layers as they are until its end; its output goes through what this yields."""
        self._waiting += 1
        try:
            await self._enter(log)
        finally:
            self._waiting -= 1
        try:
            yield SeenLayers(self, app_id, self._now(), log)
        finally:
            self._builds -= 1
            self._in_vain = False
            self._hurry.set()

    async def run(self) -> None:
        """Look for ever, and at once when a build ended: the end of a job waits for nothing here."""
        while True:
            self._hurry.clear()
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with self._pacer.limit(_LOOK_SECONDS):
                    await self._hurry.wait()

    async def look(self) -> None:
        """Measure, and make room when it is needed and no build runs. Problems are logged, never raised."""
        async with self._gate:
            try:
                await self._look()
            except NoLayers as error:
                self._lacking = ""
                self._note(str(error))
            else:
                self._note(None)
            self._gate.notify_all()

    async def proven(self, keys: Sequence[str]) -> list[str]:
        """Which of these the store has; the others are forgotten."""
        try:
            there = {key(layer.id) for layer in await self._store.layers()}
        except NoLayers:
            return list(keys)
        await self.notes.keep({*self.notes.uses} - ({*keys} - there))
        return [each for each in keys if each in there]

    async def _enter(self, log: LogSink) -> None:
        async with self._gate:
            if self._must_wait():
                await log.write(f"waiting until layers of former builds are removed: {self._lacking}\n")
                await self._gate.wait_for(lambda: not self._must_wait())
            self._builds += 1

    def _must_wait(self) -> bool:
        return bool(self._lacking) and not self._in_vain

    async def _look(self) -> None:
        room = await self._measure()
        lacking = self._line.lacking(room)
        self._lacking = self._line.half.lacking(room)
        many = len(self.notes.uses) > max(_MOST_LAYERS, self._left_last * 5 // 4)
        if self._builds or self._in_vain or not (lacking or many):
            return
        await self._make_room(room, lacking)
        self._lacking = self._line.half.lacking(await self._measure())

    async def _make_room(self, before: Room, why: str) -> None:
        layers = await self._store.layers()
        going = list(removable(layers, self.notes.uses))
        surplus = len(going) - _MOST_LAYERS * 4 // 5 if len(going) > _MOST_LAYERS else 0
        room, dropped = before, 0
        while dropped < len(going) and (dropped < surplus or self._line.lacking(room, again=bool(why))):
            batch = min(_BATCH, surplus - dropped) if dropped < surplus else _BATCH
            await self._store.drop(going[dropped : dropped + batch])
            dropped += batch
            room = await self._measure()
            if self._waiting and not self._line.half.lacking(room):
                break
        there = {key(layer.id) for layer in await self._store.layers()}
        await self.notes.keep(there)
        gone = sum(key(layer.id) not in there for layer in layers)
        self._left_last = len(self.notes.uses)
        self._in_vain = gone == 0
        self._meter.dropped(gone)
        freed = size(max(0, room.free_bytes - before.free_bytes))
        facts = {
            "why": why or f"more than {_MOST_LAYERS} layers",
            "layers": gone,
            "freed": freed,
            "layers_left": len(there),
            "free": size(room.free_bytes),
        }
        if gone:
            logger.info("layers of former builds were removed", extra=facts)
        elif why:
            logger.warning("no layers of former builds are left to remove", extra=facts)

    async def _measure(self) -> Room:
        room = await self._store.room()
        self._meter.room(room.free_bytes)
        return room

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("layers of former builds stay, however full the disk gets", extra={"why": problem})
        self._problem = problem


class SeenLayers:
    """A log that notes the layers which pass by in it."""

    def __init__(self, cache: LayerCache, app_id: str, began: float, log: LogSink) -> None:
        self._cache = cache
        self._app_id = app_id
        self._began = began
        self._log = log
        self._rest = ""
        self._unproven: list[str] = []

    async def write(self, text: str) -> None:
        """Pass it on, and remember what it tells of."""
        await self._log.write(text)
        *lines, rest = (self._rest + text).split("\n")
        self._rest = rest[:_LONGEST_LINE]
        found = [layer for line in lines if (layer := told(line[:_LONGEST_LINE])) is not None]
        if found:
            await self._remember(found)

    async def _remember(self, found: list[str]) -> None:
        self._unproven += found
        if len(self._unproven) >= _UNPROVEN:
            # Only a program that wants to be taken for a builder prints so many.
            unproven, self._unproven = self._unproven, []
            found = await self._cache.proven(unproven)
        known = self._cache.notes.uses
        uses = {
            each: Use(self._app_id, known[each].first if each in known else self._began, self._began) for each in found
        }
        await self._cache.notes.add(uses)


class CachedBuilder:
    """A builder whose layers are kept and removed by a cache."""

    def __init__(self, builder: ReadyBuilder, cache: LayerCache) -> None:
        self._builder = builder
        self._cache = cache

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build within the cache's gate."""
        async with self._cache.building(order.labels.get(_APP_LABEL, ""), log) as seen:
            await self._builder.build(order, seen)

    async def push(self, image: str, log: LogSink) -> str:
        """As the builder does."""
        return await self._builder.push(image, log)

    async def remove(self, images: Sequence[str]) -> None:
        """As the builder does."""
        await self._builder.remove(images)

    async def ping(self) -> None:
        """As the builder does."""
        await self._builder.ping()
