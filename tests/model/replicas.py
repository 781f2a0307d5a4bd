"""Processes of the control plane in a schedule: its services in this loop, over any store."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from daemons.deploy.app import Plane
from daemons.deploy.ports import Store, StoreUnavailable
from daemons.kit.tasks import every
from tests.http.deploy.plane import settings
from tests.model.database import InlineSqlite, inline_store
from tests.model.doors import Door, ServiceDoor
from tests.model.faults import Clock, ModelStore, Outside
from tests.model.loop import OwnTimeLoop
from tests.model.requests import MAX_RUNNING_MS
from tests.model.world import World

#: Twice as long as in the daemon: half of what recovery may take, and fewer transactions to play.
_SWEEP_SECONDS: Final = 2
SETTINGS: Final = {
    limited: settings(
        DEPLOY_RUNTIME_NODE_REGISTRY_ENABLED=False, DEPLOY_JOB_MAX_RUNNING_SECONDS=MAX_RUNNING_MS // 1000 * limited
    )
    for limited in (False, True)
}


class ServiceReplica:
    """Its services, called directly, and the loops that have to do with jobs."""

    def __init__(self, world: World, store: ModelStore) -> None:
        self.store = store
        self.plane = Plane(SETTINGS[world.facts.limit_running], store, world.agent, None)
        self.door: Door = ServiceDoor(self.plane)
        loops = (self.plane.claims.run(), self._reaping(world.singletons))
        self._loops = [world.loop.create_task(loop) for loop in loops]

    def _reaping(self, singletons: bool) -> Coroutine[Any, Any, None]:
        """The reaper as it runs in the daemon, or, cheaper to play and harder to bear, in every replica at once."""
        if singletons:
            return self.plane.singletons.run()
        return every(_SWEEP_SECONDS, self.plane.reaper.sweep, expected=(StoreUnavailable,))

    async def kill(self) -> None:
        """Nothing of this process happens any more."""
        self.store.dead = True
        await self._end()

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        self.plane.bells.close()
        self.plane.claims.close()
        await self._end()
        self.store.dead = True

    async def _end(self) -> None:
        for task in self._loops:
            task.cancel()
        await asyncio.wait(self._loops)


class SqliteParts:
    """SQLite in memory and services: what most schedules are played with, because it is fast."""

    outside: Outside | None = None

    def __init__(self) -> None:
        self.loop = OwnTimeLoop()
        self.clock = Clock(self.loop.time)
        self.database = InlineSqlite(self.clock.now)
        self.store: Store = inline_store(self.database)

    def empty(self) -> None:
        """As new, for the next schedule."""
        self.database.empty()
        self.clock.reset()

    async def replica(self, world: World) -> ServiceReplica:
        """A new process."""
        return ServiceReplica(world, ModelStore(self.store, world, self.outside))

    def close(self) -> None:
        """Let go of everything."""
        self.database.raw.close()
        self.loop.close()
