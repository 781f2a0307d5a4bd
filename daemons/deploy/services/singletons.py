"""Work that exactly one replica does, by leases in the database.

    singletons = Singletons(store, replica)
    singletons.add("reaper", 1, reaper.sweep)          # a step that only the holder of `reaper` runs, every second

`run` renews what this replica holds, takes what nobody holds, and runs the steps of what it holds. A holder that cannot
renew ends its steps before its lease ends; one that stops gives its leases back, so that the next takes over at once;
the leases of one that was killed run out. A process that was paused meanwhile and goes on is refused by the database:
each transaction of a step ends with a look at the epoch, which every takeover raises.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeVar

from daemons.deploy.domain.singletons import Holding, following, held
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.kit.tasks import every

LEASE_MS: Final = 4000
_LAST_WORDS_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)
T = TypeVar("T")


class NotHeld(StoreUnavailable):
    """Another replica does this work now; nothing was changed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another replica has taken over {name}; this transaction was given up")


@dataclass(slots=True)
class _Singleton:
    name: str
    steps: list[tuple[float, Callable[[], Awaitable[object]]]] = field(default_factory=list)
    mine: Holding | None = None
    until: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


#: Under which holding the current task works, if it runs a step.
_working: ContextVar[Holding | None] = ContextVar("working", default=None)


class Singletons:
    """The leases of one replica. `run` is its loop."""

    def __init__(self, store: Store, replica: str, *, lease_ms: int = LEASE_MS) -> None:
        self.replica = replica
        self._store = store
        self._lease_ms = lease_ms
        self._tick = self._margin = lease_ms / 8000
        self._known: dict[str, _Singleton] = {}

    def add(self, name: str, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
        """Run `step` on the holder of `name`, `seconds` after the end of the one before. Call it before `run`."""
        self._known.setdefault(name, _Singleton(name)).steps.append((seconds, step))

    @property
    def holds(self) -> Mapping[str, bool]:
        """What this replica holds, as far as it knows."""
        return {name: singleton.mine is not None for name, singleton in self._known.items()}

    async def holdings(self) -> tuple[int, Iterable[Holding]]:
        """The database's clock, and who holds what."""

        async def work(tx: Transaction) -> tuple[int, Iterable[Holding]]:
            return await tx.now(), await tx.singletons()

        return await self._store.transact(work)

    async def run(self) -> None:
        """Hold and work for ever; on the way out, give back what is held."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(every(self._tick, self.keep, expected=(StoreUnavailable,)))
                for singleton in self._known.values():
                    group.create_task(self._serve(singleton))
        finally:
            await self._release()

    async def keep(self) -> None:
        """Renew, take, and notice what was lost."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        now, found = await self._store.transact(self._keep)
        for name, singleton in self._known.items():
            holding = found.get(name)
            if holding is None or not held(holding, self.replica, now):
                self._lost(singleton)
                continue
            if singleton.mine is None or singleton.mine.epoch != holding.epoch:
                logger.info("this replica takes over", extra={"singleton": name, "epoch": holding.epoch})
            singleton.mine = holding
            singleton.until = asked + (holding.until - now) / 1000 - self._margin
            singleton.changed.set()

    async def _keep(self, tx: Transaction) -> tuple[int, dict[str, Holding]]:
        now = await tx.now()
        found = {holding.name: holding for holding in await tx.singletons()}
        for name in self._known:
            before = found.get(name)
            after = following(before, name, self.replica, self._lease_ms, now)
            if after is None:
                continue
            written = await (tx.insert_singleton(after) if before is None else tx.save_singleton(after, before))
            if written:
                found[name] = after
            else:
                found.pop(name, None)
        return now, found

    def _lost(self, singleton: _Singleton) -> None:
        if singleton.mine is not None:
            logger.warning("another replica has taken over", extra={"singleton": singleton.name})
            singleton.mine, singleton.until = None, 0.0
            singleton.changed.set()

    async def _serve(self, singleton: _Singleton) -> None:
        while True:
            holding = singleton.mine
            if holding is not None:
                await self._work(singleton, holding)
            await singleton.changed.wait()
            singleton.changed.clear()

    async def _work(self, singleton: _Singleton, holding: Holding) -> None:
        """Run the steps until the lease is lost or cannot be renewed in time."""
        _working.set(holding)
        async with asyncio.TaskGroup() as group:
            expected = (StoreUnavailable,)
            tasks = [group.create_task(every(seconds, step, expected=expected)) for seconds, step in singleton.steps]
            while (left := self._left(singleton, holding)) > 0:
                await _rung(singleton.changed, left)
            if singleton.mine is not None and singleton.mine.epoch == holding.epoch:
                logger.warning("a lease could not be renewed in time", extra={"singleton": singleton.name})
                singleton.mine = None
            for task in tasks:
                task.cancel()

    def _left(self, singleton: _Singleton, holding: Holding) -> float:
        if singleton.mine is None or singleton.mine.epoch != holding.epoch:
            return 0.0
        return singleton.until - asyncio.get_running_loop().time()

    async def _release(self) -> None:
        async def work(tx: Transaction) -> int:
            return await tx.release_singletons(self.replica)

        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._store.transact(work)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("leases of this replica have to run out", extra={"error": str(error)})


class Fenced:
    """A store whose transactions, inside a step of a singleton, commit only while this replica still holds it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Like `Store.transact`. Raises NotHeld, too."""
        holding = _working.get()
        if holding is None:
            return await self._store.transact(work)

        async def inside(tx: Transaction) -> T:
            result = await work(tx)
            if await tx.singleton_epoch(holding.name, holding.holder) != holding.epoch:
                raise NotHeld(holding.name)
            return result

        return await self._store.transact(inside)

    async def check(self) -> None:
        """Like `Store.check`."""
        await self._store.check()


async def _rung(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
