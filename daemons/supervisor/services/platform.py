"""The children together: started in waves, watched, stopped in order."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from daemons.supervisor.domain.backoff import EX_CONFIG
from daemons.supervisor.ports import Child, Probe, Processes, Ticker
from daemons.supervisor.services.watch import Watch

logger = logging.getLogger(__name__)
_PROBE_PAUSE_SECONDS: Final = 0.1

#: A later wave starts when the one before is ready, so that first calls find somebody to answer them.
WAVES: Final = (("gateway", "deploy", "git"), ("agent", "api", "workspace"), ("runner",))
#: Whoever takes on work stops first; the gateway, which serves what runs, stops last.
STOP_ORDER: Final = ("runner", "api", "agent", "workspace", "git", "deploy", "gateway")


class NotReady(Exception):
    """The platform did not come up; `exit_code` is 78 when a configuration must be mended."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Platform:
    """All children of one data folder."""

    def __init__(self, children: Sequence[Child], processes: Processes, probe: Probe, ticker: Ticker) -> None:
        self._watches = {child.name: Watch(child, processes, ticker) for child in children}
        self._probe = probe
        self._ticker = ticker

    async def start(self, group: asyncio.TaskGroup, *, ready_seconds: float) -> None:
        """Start every child in `group` and return when all are ready.

        Raises NotReady, and leaves stopping those that run to the caller.
        """
        deadline = self._ticker.seconds() + ready_seconds
        for wave in WAVES:
            watches = [self._watches[name] for name in wave if name in self._watches]
            for watch in watches:
                group.create_task(watch.run(), name=f"watch {watch.child.name}")
            for watch in watches:
                await self._until_ready(watch, deadline)
                logger.info("%s is ready", watch.child.name)

    async def stop(self) -> None:
        """Stop every child, in order. Containers of apps and the engine are nobody's children and stay."""
        for name in STOP_ORDER:
            if name in self._watches:
                await self._watches[name].stop()

    async def _until_ready(self, watch: Watch, deadline: float) -> None:
        name, problem = watch.child.name, "it has not answered yet"
        while self._ticker.seconds() < deadline:
            found = await self._probe.problem(watch.child.probe)
            if found is None:
                return
            problem = found
            if watch.last_exit == EX_CONFIG:
                raise NotReady(f"{name} refuses its configuration; its lines above say what to set", EX_CONFIG)
            await self._ticker.pause(_PROBE_PAUSE_SECONDS)
        raise NotReady(f"{name} did not become ready in time: {problem}. Look at its lines above or in its log file.")
