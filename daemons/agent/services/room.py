"""Keeps room for an image before it is pulled, so that any number of pulls at a time stays below the line.

What a pull takes is what the registry says of the layers that the engine does not have, times a factor: packed layers
and unpacked ones lie on the disk together for a while. Reservations count in full until the pull ends, although part of
it may be on the disk by then; an image of unknown size gets all the room there is, so nothing is pulled beside it.
Whatever an image turns out to be, its pull is ended when the node reaches the last line.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from daemons.agent.domain.disk import DiskFigures, Need, all_room, at_least, collected_enough, fits, size
from daemons.agent.domain.images import missing_bytes
from daemons.agent.ports import DiskMeter, Manifests, NoRoom, Store
from daemons.agent.services.collection import Acting, Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.kit.engine.errors import EngineError
from protocol.nodes import DiskLevel

logger = logging.getLogger(__name__)


class Room:
    """Reservations of this node. `expansion` is how much of the disk a packed byte takes at most on the way."""

    def __init__(
        self,
        watch: DiskWatch,
        collector: Collector,
        manifests: Manifests,
        store: Store,
        meter: DiskMeter,
        expansion: float,
    ) -> None:
        self._watch = watch
        self._collector = collector
        self._manifests = manifests
        self._store = store
        self._meter = meter
        self._expansion = expansion
        self._reserved: dict[object, Need] = {}
        self._changed = asyncio.Condition()
        self._pulls: set[asyncio.Timeout] = set()
        #: What is fetched for later, by the key of its reservation: the image, and how to end that.
        self._lent: dict[object, tuple[str, asyncio.Timeout]] = {}
        watch.tell(self._stop_pulls_at_the_last_line)

    @asynccontextmanager
    async def reserve(self, app_id: str, image: str) -> AsyncIterator[None]:
        """There is room for the image during the block, in which it is to be pulled.

        Raises NoRoom, also out of the block when the disk gets full during it, and EngineError.
        """
        self._hand_over(image)
        need = await self._need(image)
        key = object()
        await self._take(key, need, Acting(app_id, image))
        try:
            with self._watch.closely():
                async with self._bounded(image):
                    yield
        finally:
            del self._reserved[key]
            await self._told()

    @asynccontextmanager
    async def spare(self, image: str) -> AsyncIterator[None]:
        """There is room for the image during the block, in which it may be fetched for later: room that nobody waits
        for, and that is left above the line of `no_new_apps`.

        Raises NoRoom, also out of the block when somebody deploys and needs the room, and EngineError.
        """
        need, key = await self._need(image), object()
        async with self._changed:
            figures = await self._watch.look()
            if need is None or not collected_enough(figures, self._watch.marks, (*self._reserved.values(), need)):
                raise NoRoom(f"there is no spare room for image {image} on this node's disk")
            self._reserved[key] = need
            self._count()
        ending = asyncio.timeout(None)
        try:
            with self._watch.closely():
                async with ending:
                    self._lent[key] = (image, ending)
                    self._pulls.add(ending)
                    yield
        except TimeoutError:
            if not ending.expired():
                raise
            raise NoRoom(f"the room that image {image} was being fetched into is needed") from None
        finally:
            self._pulls.discard(ending)
            self._lent.pop(key, None)
            del self._reserved[key]
            await self._told()

    def _hand_over(self, image: str) -> None:
        """Who deploys the image counts it from here on; the engine does not fetch a layer twice."""
        for key in [key for key, (lent, _) in self._lent.items() if lent == image]:
            del self._lent[key]
            self._reserved[key] = Need()

    def _recall(self) -> bool:
        """Whether there is something fetched for later, which ends now and is to be waited for."""
        for _, ending in self._lent.values():
            self._pulls.discard(ending)
            if not ending.expired():
                ending.reschedule(asyncio.get_running_loop().time())
        return bool(self._lent)

    def admit(self, app_id: str, image: str, *, lives_here: bool) -> None:
        """An image that is here already is to be deployed. Raises NoRoom when even that is too much."""
        if self._watch.level is DiskLevel.STOPS_ONLY and not lives_here:
            self._meter.refused("room")
            raise NoRoom(f"no space left on device for app {app_id} ({image}): {self._watch.words}")

    async def _need(self, image: str) -> Need | None:
        """None when it is not known."""
        try:
            layers = await self._manifests.layers(image)
        except EngineError as error:
            logger.info("the size of an image is not known", extra={"image": image, "error": str(error)})
            return None
        packed = missing_bytes(layers, await self._store.layer_lists())
        return Need.of_unpacked(int(packed * self._expansion))

    async def _take(self, key: object, known: Need | None, acting: Acting) -> None:
        """Reserve, after others have ended if only they are in the way, after a collection if that helps."""
        collected = False
        while True:
            async with self._changed:
                figures = await self._watch.look()
                need = known or all_room(figures, self._watch.marks)
                others = tuple(self._reserved.values())
                if need.bytes == 0 or fits(figures, self._watch.marks, (*others, need)):
                    self._reserved[key] = need
                    self._count()
                    return
                if self._recall():
                    await self._changed.wait()
                    continue
                if collected:
                    if not others or not fits(figures, self._watch.marks, (need,)):
                        self._meter.refused("room")
                        raise NoRoom(self._refusal(known, acting))
                    await self._changed.wait()
            await self._collector.collect(partial(self._enough, known), acting)
            collected = True

    def _enough(self, known: Need | None, figures: DiskFigures) -> bool:
        return collected_enough(figures, self._watch.marks, (*self._reserved.values(), known or Need()))

    def _count(self) -> None:
        self._watch.reserved_bytes = sum(each.bytes for each in self._reserved.values())

    def _refusal(self, need: Need | None, acting: Acting) -> str:
        figures, marks = self._watch.figures, self._watch.marks
        free = size(figures.free_bytes) if figures is not None else "unknown"
        keep = size(marks.no_pulls.bytes_of(figures.usable_bytes)) if figures is not None else "unknown"
        takes = f"pulling it takes up to {size(need.bytes)}" if need is not None else "its size is not known"
        return (
            f"no space left on device for image {acting.image}: {takes}, {free} are free, and {keep} of them stay free "
            "(RUNTIME_DISK_NO_PULLS); nothing more may be removed. Delete apps, unpin releases or add disk"
        )

    async def _told(self) -> None:
        self._count()
        async with self._changed:
            self._changed.notify_all()

    @asynccontextmanager
    async def _bounded(self, image: str) -> AsyncIterator[None]:
        stopped = asyncio.timeout(None)
        try:
            async with stopped:
                self._pulls.add(stopped)
                yield
        except TimeoutError:
            if not stopped.expired():
                raise
            self._meter.refused("stopped")
            raise NoRoom(
                f"no space left on device: the pull of image {image} was ended half-way, because it takes more room "
                f"than its registry says; {self._watch.words}"
            ) from None
        finally:
            self._pulls.discard(stopped)

    def _stop_pulls_at_the_last_line(self) -> None:
        if at_least(self._watch.level, DiskLevel.STOPS_ONLY):
            now = asyncio.get_running_loop().time()
            while self._pulls:
                self._pulls.pop().reschedule(now)
