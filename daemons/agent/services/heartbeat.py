"""Tells deploy, again and again, how this node is; a failure is logged when it changes and tried again."""

import asyncio
import logging
import random
from typing import Final

from daemons.agent.ports import Containers, ControlPlane, ControlPlaneError, Disk, DiskFigures, EngineError

logger = logging.getLogger(__name__)

_JITTER: Final = 0.1


class Heartbeat:
    """One beat every `seconds`, and one at once when something was deployed."""

    def __init__(self, control_plane: ControlPlane, containers: Containers, disk: Disk, seconds: float) -> None:
        self._control_plane = control_plane
        self._containers = containers
        self._disk = disk
        self._seconds = seconds
        self._soon = asyncio.Event()
        self._problem: str | None = None

    def soon(self) -> None:
        """Beat now: the figures have changed."""
        self._soon.set()

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await self.beat()
            # Spread, so that nodes that started together do not report together.
            pause = self._seconds * (1 + _JITTER * (2 * random.random() - 1))  # noqa: S311
            try:
                async with asyncio.timeout(pause):
                    await self._soon.wait()
            except TimeoutError:
                pass
            self._soon.clear()

    async def beat(self) -> None:
        """Measure and report once; an engine that does not answer leaves its figures out."""
        problems: list[str] = []
        disk: DiskFigures | None = None
        count: int | None = None
        try:
            disk = await self._disk.measure()
            count = sum(container.running for container in await self._containers.own())
        except EngineError as error:
            problems.append(str(error))
        try:
            await self._control_plane.heartbeat(disk, count)
        except ControlPlaneError as error:
            problems.append(str(error))
        self._note("; ".join(problems) or None)

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            if problem is None:
                logger.info("heartbeats reach deploy again")
            else:
                logger.warning("a heartbeat failed and will be sent again", extra={"error": problem})
        self._problem = problem
