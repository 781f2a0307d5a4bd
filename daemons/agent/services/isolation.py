"""Keeps the fence around the node's apps standing: packet filters are flushed by reloads and by other tools."""

import asyncio
import logging
from typing import Final

from daemons.agent.ports import Isolation
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 2.0


class Keeper:
    """Puts the rules back again and again; while they cannot be set the node is not ready and starts no new apps."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._problem: str | None = "the rules around apps are not set yet"

    async def check(self) -> None:
        """Raises EngineError, with why, unless the rules stood when they were last looked at."""
        if self._problem is not None:
            raise EngineError(self._problem)

    async def run(self) -> None:
        """Until the agent ends; networks that a crash left behind go once, and with an agent of no apps its rules."""
        tidy = False
        try:
            while True:
                await self.keep()
                if self._problem is None and not tidy:
                    tidy = await self._tidy()
                await asyncio.sleep(_PAUSE_SECONDS if self._problem is None and tidy else _RETRY_SECONDS)
        finally:
            await self._release()

    async def keep(self) -> None:
        """Set the rules once; a failure is logged when it changes."""
        try:
            await self._isolation.isolate()
        except EngineError as error:
            if str(error) != self._problem:
                logger.warning("apps are not isolated: no new ones are started", extra={"error": str(error)})
            self._problem = str(error)
            return
        if self._problem is not None:
            logger.info("the rules around apps stand")
        self._problem = None

    async def _release(self) -> None:
        if self._problem is not None:
            return
        try:
            gone = await self._isolation.release()
        except EngineError as error:
            logger.warning("the rules around apps could not be taken away", extra={"error": str(error)})
            return
        logger.info("the rules around apps are taken away" if gone else "the rules stay: apps run on within them")

    async def _tidy(self) -> bool:
        try:
            await self._isolation.tidy()
        except EngineError as error:
            logger.warning("left-over networks could not be removed yet", extra={"error": str(error)})
            return False
        return True
