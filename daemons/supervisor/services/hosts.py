"""The gateway learns of apps' own hosts by itself, for as long as the platform runs."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from daemons.kit.gateway_following import NotFollowed
from daemons.supervisor.ports import Ticker

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 5.0


class Hosts:
    """`once` makes the gateway's list like the API's and says what it did, or raises NotFollowed."""

    def __init__(self, once: Callable[[], Awaitable[str]], ticker: Ticker) -> None:
        self._once = once
        self._ticker = ticker
        self._said = ""

    async def run(self) -> None:
        """For ever. The same is said once, however often it happens."""
        while True:
            try:
                self._say(logging.INFO, await self._once())
            except NotFollowed as error:
                self._say(logging.WARNING, f"{error}; this is tried again")
            await self._ticker.pause(_PAUSE_SECONDS)

    def _say(self, level: int, words: str) -> None:
        if words != self._said:
            logger.log(level, "hosts of apps' own: %s", words)
        self._said = words
