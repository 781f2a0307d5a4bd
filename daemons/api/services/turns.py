"""Orders that are rows: whoever claims one carries it out, and whoever dies in between leaves it to the next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from daemons.kit.sql import DatabaseUnavailable

logger = logging.getLogger(__name__)

Order = TypeVar("Order")
_LOOK_SECONDS: Final = 1.0
_AT_ONCE: Final = 4


class Turns(Generic[Order]):
    """Claims what is due, a few at once. `kind` names the orders in logs."""

    def __init__(
        self,
        kind: str,
        claim: Callable[[], Awaitable[Order | None]],
        carry_out: Callable[[Order], Awaitable[None]],
        over: Callable[[], Awaitable[None]] | None = None,
        *,
        at_once: int = _AT_ONCE,
    ) -> None:
        """`carry_out` may raise DatabaseUnavailable: its hold ends by itself, and it is carried out once more. `over`
        is called after each."""
        self._kind = kind
        self._claim = claim
        self._carry_out = carry_out
        self._over = over
        self._at_once = at_once
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """There is something new."""
        self._asked.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            turns = asyncio.Semaphore(self._at_once)
            while True:
                await turns.acquire()
                claimed = await self._next()
                group.create_task(self._in_turn(claimed, turns))

    async def _next(self) -> Order:
        while True:
            self._asked.clear()
            try:
                claimed = await self._claim()
            except DatabaseUnavailable as error:
                logger.warning("orders are looked at later", extra={"kind": self._kind, "error": str(error)})
                claimed = None
            if claimed is not None:
                return claimed
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _in_turn(self, claimed: Order, turns: asyncio.Semaphore) -> None:
        try:
            await self._carry_out(claimed)
        except DatabaseUnavailable as error:
            logger.warning("an order is looked at later", extra={"kind": self._kind, "error": str(error)})
        finally:
            turns.release()
            if self._over is not None:
                await self._over()
