"""Looks at every workspace now and then; those that nobody uses sleep. Holds through restarts of the node."""

import logging
from typing import Final

from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from daemons.kit.tasks import every
from daemons.workspace.domain.idle import Busy, Fate, Measured, Patience, Sample, fate, measured, works
from daemons.workspace.domain.runs import serves
from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports import HomeError, Meters, RecordError, Use
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.workspaces import Workspaces

logger = logging.getLogger(__name__)

_SECONDS: Final = 30.0
_HEED_SECONDS: Final = 3.0
_FAILURES: Final = (EngineError, HomeError, RecordError)


class Idle:
    """Freezes and stops what is not used."""

    def __init__(self, workspaces: Workspaces, runs: Runs, meters: Meters, patience: Patience, clock: Clock) -> None:
        self._workspaces = workspaces
        self._runs = runs
        self.meters = meters
        self._patience = patience
        self._clock = clock
        self._before: dict[str, Sample] = {}
        self._arrived: dict[str, int] = {}
        self._unread: dict[str, int] = {}
        self._used: dict[str, Measured] = {}

    def used(self, user_id: str) -> Measured | None:
        """What the user's container used when it was looked at last; None when it did not run then."""
        return self._used.get(user_id)

    async def run(self) -> None:
        """For ever."""
        await every(_SECONDS, self.sweep)

    async def run_heeding(self) -> None:
        """For ever."""
        await every(_HEED_SECONDS, self.heed)

    async def heed(self) -> None:
        """What reached a frozen workspace over a connection that was open is read: it wakes, which is not use. It
        sleeps again with the next look, and does not wake again for what its programs leave unread."""
        for workspace in self._workspaces.known():
            try:
                await self._heed(workspace)
            except _FAILURES as error:
                said = {"user_id": workspace.user_id, "error": str(error)}
                logger.warning("a workspace could not be woken", extra=said)

    async def _heed(self, workspace: Workspace) -> None:
        user_id, frozen = workspace.user_id, workspace.phase is Phase.FROZEN
        if not frozen:
            self._arrived.pop(user_id, None)
        if not frozen and not (workspace.phase is Phase.RUNNING and user_id in self._unread):
            self._unread.pop(user_id, None)
            return
        if frozen:
            arrived = await self.meters.arrived(user_id)
            if arrived == self._arrived.get(user_id):
                return
            self._arrived[user_id] = arrived
        unread = await self.meters.unread(user_id)
        if frozen and unread > self._unread.get(user_id, 0):
            async with self._workspaces.thawed(user_id):
                logger.info("a workspace was woken by what it was sent", extra={"user_id": user_id})
        if unread:
            self._unread[user_id] = unread
        else:
            self._unread.pop(user_id, None)

    async def sweep(self) -> None:
        """Look at all of them once. What fails for one is tried again with the next look."""
        for workspace in self._workspaces.known():
            try:
                await self._look(workspace)
            except _FAILURES as error:
                said = {"user_id": workspace.user_id, "error": str(error)}
                logger.warning("a workspace could not be put to sleep", extra=said)

    async def _look(self, workspace: Workspace) -> None:
        self._used.pop(workspace.user_id, None)
        if workspace.phase is Phase.RUNNING:
            await self._measure(workspace)
        await self._workspaces.remember(workspace.user_id)
        found = self._workspaces.find(workspace.user_id)
        if found is None:
            return
        wanted = fate(found, self._patience, self._now())
        if wanted is Fate.FREEZE and await self._workspaces.freeze(found.user_id):
            logger.info("a workspace was frozen", extra={"user_id": found.user_id})
        if wanted is Fate.STOP and await self._workspaces.stop(found.user_id):
            logger.info("a workspace was stopped", extra={"user_id": found.user_id})

    async def _measure(self, workspace: Workspace) -> None:
        """Programs that work are use, also when nobody looks at them."""
        run = self._runs.find(workspace.user_id)
        if run is not None and not serves(run) and self._runs.alive(run):
            self._workspaces.touch(workspace.user_id, Use.RUN)
        sample = await self.meters.sample(workspace.user_id, self._now())
        before = self._before.pop(workspace.user_id, None)
        if sample is None:
            return
        self._before[workspace.user_id] = sample
        self._used[workspace.user_id] = measured(before, sample)
        if before is not None and works(before, sample, Busy()):
            self._workspaces.touch(workspace.user_id, Use.CPU)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
