"""Makes room on the node by removing what nobody needs, one thing after the other, until there is enough."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.agent.domain.collection import (
    Holdings,
    Kept,
    Removal,
    apps_with_images,
    by_itself,
    large_logs,
    plan,
    protected,
)
from daemons.agent.domain.disk import DiskFigures, at_least, collected_enough
from daemons.agent.domain.images import LocalImage
from daemons.agent.domain.report import Collected
from daemons.agent.ports import ControlPlane, ControlPlaneError, DiskMeter, Images, StateError, Store
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.ledger import Ledger
from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from protocol.nodes import DiskLevel

logger = logging.getLogger(__name__)

_ASKED_AT_ONCE: Final = 200
_AGAIN_SECONDS: Final = 60.0
_FULL: Final = "there is nothing more that may be removed"


def _never(_: DiskFigures) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Acting:
    """A deployment that needs room: its own app is held by it, and its image must stay."""

    app_id: str
    image: str


@dataclass(slots=True)
class _Tally:
    """What a collection did so far."""

    images: int = 0
    logs: int = 0
    problem: str | None = None


class Collector:
    """One collection at a time; `collect` for whoever needs room now, `run` for when the disk gets full by itself."""

    def __init__(
        self,
        images: Images,
        store: Store,
        ledger: Ledger,
        control_plane: ControlPlane,
        watch: DiskWatch,
        meter: DiskMeter,
        clock: Clock,
    ) -> None:
        self.last: Collected | None = None
        self._images = images
        self._store = store
        self._ledger = ledger
        self._control_plane = control_plane
        self._watch = watch
        self._meter = meter
        self._clock = clock
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._asked: list[asyncio.Future[Collected | None]] = []
        self._told: list[Callable[[], None]] = []
        watch.tell(self._due.set)

    def tell(self, listener: Callable[[], None]) -> None:
        """Call the listener after every collection that removed something."""
        self._told.append(listener)

    async def run(self) -> None:
        """Collect whenever somebody asks or the node stands at `no_pulls` or worse, and once a minute while it stays
        there."""
        while True:
            self._due.clear()
            asked, self._asked = self._asked, []
            if asked:
                done = await self.collect(_never)
                for each in asked:
                    if not each.done():
                        each.set_result(done)
            elif at_least(self._watch.level, DiskLevel.NO_PULLS):
                await self.collect(lambda figures: collected_enough(figures, self._watch.marks))
            try:
                async with asyncio.timeout(_AGAIN_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                continue

    async def everything(self) -> Collected | None:
        """Have everything removed that may go, however much room there is; None when that failed. `run` does it, and
        goes on when nobody waits any more."""
        done: asyncio.Future[Collected | None] = asyncio.get_running_loop().create_future()
        self._asked.append(done)
        self._due.set()
        return await done

    async def collect(self, enough: Callable[[DiskFigures], bool], acting: Acting | None = None) -> Collected | None:
        """Remove until there is enough or nothing is left that may go; what was done, None when nothing had to be."""
        async with self._lock:
            tally = _Tally()
            try:
                before = await self._watch.look()
                if enough(before):
                    return None
                await self._remove(enough, acting, tally)
                after = await self._watch.look()
            except (EngineError, StateError) as error:
                logger.warning("the disk could not be tidied", extra={"error": str(error)})
                return None
            return self._ended(max(0, after.free_bytes - before.free_bytes), tally)

    async def _remove(self, enough: Callable[[DiskFigures], bool], acting: Acting | None, tally: _Tally) -> None:
        """Raises EngineError and StateError."""
        for removal in plan(await self._holdings(acting, tally)):
            if enough(await self._watch.look()):
                return
            await self._remove_image(removal, acting, tally)
        for log in large_logs(await self._store.container_logs()):
            if enough(await self._watch.look()):
                return
            try:
                await self._store.cut_log(log)
                tally.logs += 1
                logger.warning(
                    "an oversized log of a container was emptied", extra={"container": log.container, "bytes": log.size}
                )
            except EngineError as error:
                tally.problem = str(error)
        if enough is not _never and not enough(await self._watch.look()):
            tally.problem = tally.problem or _FULL

    async def _remove_image(self, removal: Removal, acting: Acting | None, tally: _Tally) -> None:
        if removal.app_id is None or (acting is not None and removal.app_id == acting.app_id):
            await self._remove_references(removal, tally)
            return
        with self._ledger.tidy(removal.app_id) as at_rest:
            # The app may have been deployed since the plan was made, from the very image.
            if at_rest and removal.image_id not in protected(self._ledger.get(removal.app_id)):
                await self._remove_references(removal, tally)

    async def _remove_references(self, removal: Removal, tally: _Tally) -> None:
        names = removal.references or (removal.image_id,)
        extra = {"image": names[0], "app_id": removal.app_id, "why": removal.why.value}
        try:
            for name in names:
                await self._images.remove_image(name)
        except EngineError as error:
            tally.problem = str(error)
            logger.info("an image could not be removed", extra={**extra, "error": str(error)})
            return
        tally.images += 1
        logger.info("an image was removed to make room", extra=extra)

    async def _holdings(self, acting: Acting | None, tally: _Tally) -> Holdings:
        images = await self._images.images()
        states = {state.app_id: state for state in self._ledger.all()}
        kept = await self._kept(images, tally)
        # Last, so that a container which came up meanwhile is among them.
        in_use = await self._store.images_in_use()
        return Holdings(
            images, in_use, states, kept, int(self._clock.now().timestamp()), acting.image if acting is not None else ""
        )

    async def _kept(self, images: Sequence[LocalImage], tally: _Tally) -> Mapping[str, Kept]:
        """What stays, by app; an app that is missing here keeps everything."""
        apps = apps_with_images(images)
        found: dict[str, Kept] = {}
        for start in range(0, len(apps), _ASKED_AT_ONCE):
            asked = apps[start : start + _ASKED_AT_ONCE]
            try:
                answer = await self._control_plane.kept_images(asked)
            except ControlPlaneError as error:
                tally.problem = f"no release was removed, because deploy did not say which must stay: {error}"
                continue
            alone = {app: kept for app in asked if (kept := by_itself(self._ledger.get(app), images)) is not None}
            found |= alone if answer is None else answer
        return found

    def _ended(self, freed: int, tally: _Tally) -> Collected:
        did = bool(tally.images or tally.logs)
        number = (self.last.number if self.last is not None else 0) + did
        done = Collected(number, self._clock.now(), freed, tally.images, tally.logs, tally.problem)
        if did:
            self.last = done
            self._meter.collected(freed, tally.images, tally.logs)
            for listener in self._told:
                listener()
        logger.warning(
            "room was made on the disk" if did else "no room could be made on the disk",
            extra={"freed_bytes": freed, "images": tally.images, "logs": tally.logs, "problem": tally.problem},
        )
        return done
