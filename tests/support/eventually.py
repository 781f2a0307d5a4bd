"""Waiting for another process, inside the event loop."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 90, pause: float = 0.01) -> None:
    """Ask again after each `pause` (seconds) until the condition holds. Raises TimeoutError when it does not within
    `seconds`, which are many: a busy machine is no defect of what is tested."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process gives no event
            await asyncio.sleep(pause)
