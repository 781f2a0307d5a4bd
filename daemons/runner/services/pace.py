"""Time and patience: the machine's clock for the loops, and how long to wait before trying again."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager


class MachinePacer:
    """The event loop's view of time."""

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def limit(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Raises TimeoutError from the block when it takes longer."""
        return asyncio.timeout(seconds)


def backoff(first: float, most: float) -> Iterator[float]:
    """Seconds before each next try: full jitter under a doubling ceiling, so that many runners do not come at once."""
    ceiling = min(first, most)
    while True:
        yield random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret
        ceiling = min(ceiling * 2, most)
