"""Tells deploy, again and again, how this node is; a failure is logged when it changes and tried again.

Beats are spread, so that nodes which started together do not report together. While deploy does not answer they are
tried more often than usual, at random moments: it hears of every node within seconds of its return, and of no two at
once. Nothing else on the node waits for a heartbeat.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from daemons.agent.domain.report import NodeReport
from daemons.agent.ports import ControlPlane, ControlPlaneError

logger = logging.getLogger(__name__)

_JITTER: Final = 0.1
_RETRY_SECONDS: Final = 1.0
_MOST_RETRY_SECONDS: Final = 5.0
#: The first beat comes at once, give or take this much: a rack that gets power again starts together.
_START_SECONDS: Final = 0.2


def pause(interval: float, failures: int, chance: float) -> float:
    """Seconds until the next beat; `chance` is random in [0, 1)."""
    if not failures:
        return interval * (1 + _JITTER * (2 * chance - 1))
    most = min(_MOST_RETRY_SECONDS, interval, _RETRY_SECONDS * float(1 << min(failures - 1, 8)))
    return most * (0.2 + 0.8 * chance)


class Heartbeat:
    """One beat every `seconds`, and one at once when something happened that deploy should know of."""

    def __init__(
        self, control_plane: ControlPlane, report: Callable[[], Awaitable[NodeReport]], seconds: float
    ) -> None:
        self._control_plane = control_plane
        self._report = report
        self._seconds = seconds
        self._soon = asyncio.Event()
        self._failures = 0
        self._problem: str | None = None

    def soon(self) -> None:
        """Beat now: the figures have changed."""
        self._soon.set()

    async def run(self) -> None:
        """Beat for ever."""
        await asyncio.sleep(_START_SECONDS * random.random())  # noqa: S311
        while True:
            # What happens during a beat is told by the next one.
            self._soon.clear()
            await self.beat()
            try:
                async with asyncio.timeout(pause(self._seconds, self._failures, random.random())):  # noqa: S311
                    await self._soon.wait()
            except TimeoutError:
                continue

    async def beat(self) -> None:
        """Measure and report once; an engine that does not answer leaves its figures out."""
        report = await self._report()
        problems = [f"{part}: {problem}" for part, problem in report.problems.items()]
        try:
            await self._control_plane.heartbeat(report)
            self._failures = 0
        except ControlPlaneError as error:
            self._failures += 1
            problems.append(str(error))
        self._note("; ".join(problems) or None)

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            if problem is None:
                logger.info("heartbeats reach deploy again, and all parts of the node answer")
            else:
                logger.warning("a heartbeat failed or tells of a failure", extra={"error": problem})
        self._problem = problem
