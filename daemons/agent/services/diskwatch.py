"""Looks at the engine's disk twice a second, and more often while images are pulled, and knows how the node stands."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from daemons.agent.domain.disk import DiskFigures, Watermarks, explained, level
from daemons.agent.ports import Disk, DiskMeter
from daemons.kit.engine.errors import EngineError
from protocol.nodes import DiskLevel

logger = logging.getLogger(__name__)

#: A crossing must be told within a second, and it still has to travel.
_SECONDS: Final = 0.5
_SECONDS_WHILE_PULLING: Final = 0.1


class DiskWatch:
    """The node's room as it was last seen; whoever wants to know of a change of level says so with `tell`."""

    def __init__(self, disk: Disk, marks: Watermarks, meter: DiskMeter) -> None:
        self.marks = marks
        self.figures: DiskFigures | None = None
        self.level = DiskLevel.OK
        self.reserved_bytes = 0
        self._disk = disk
        self._meter = meter
        self._told: list[Callable[[], None]] = []
        self._pulls = 0
        self._hurry = asyncio.Event()
        self._problem: str | None = None

    @property
    def words(self) -> str:
        """Why the level is what it is; empty while there is room."""
        return explained(self.figures, self.marks, self.level) if self.figures is not None else ""

    def tell(self, listener: Callable[[], None]) -> None:
        """Call the listener after every change of level."""
        self._told.append(listener)

    async def look(self) -> DiskFigures:
        """Measure now. Raises EngineError."""
        self.figures = figures = await self._disk.measure()
        before, self.level = self.level, level(figures, self.marks, self.level)
        self._meter.measured(figures, self.level, self.reserved_bytes)
        if self.level is not before:
            logger.warning(
                "the room on the node's disk crossed a line",
                extra={"disk_level": self.level.value, "before": before.value, "why": self.words},
            )
            for listener in self._told:
                listener()
        return figures

    @contextmanager
    def closely(self) -> Iterator[None]:
        """Look more often during the block."""
        self._pulls += 1
        self._hurry.set()
        try:
            yield
        finally:
            self._pulls -= 1

    async def run(self) -> None:
        """Look for ever; an engine that does not say where its data is is asked again."""
        while True:
            try:
                await self.look()
                self._note(None)
            except EngineError as error:
                self._note(str(error))
            self._hurry.clear()
            try:
                async with asyncio.timeout(_SECONDS_WHILE_PULLING if self._pulls else _SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("the node's disk cannot be watched", extra={"error": problem})
        self._problem = problem
