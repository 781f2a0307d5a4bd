"""One after the other, per app, within this process.

Orders for one app follow each other in the database anyway, where each that waits would hold a connection, and deadlock
with the claim of the app's job that waits among them. Replicas do not see each other's turns: nothing relies on them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from daemons.deploy.ports import StoreUnavailable


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


class Turns:
    """Who waits longer than `seconds` for a turn is told to come back later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, app_id: str) -> AsyncIterator[None]:
        """The app's turn for the duration of the block. Raises StoreUnavailable."""
        turn = self._turns.setdefault(app_id, _Turn())
        turn.wanted += 1
        try:
            await self._wait(turn, app_id)
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[app_id]

    async def _wait(self, turn: _Turn, app_id: str) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await turn.lock.acquire()
        except TimeoutError:
            raise StoreUnavailable(
                f"app {app_id} was busy with other orders for {self._seconds:g} s; try again later"
            ) from None
