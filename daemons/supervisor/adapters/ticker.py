"""Elapsed time from the machine's monotonic clock."""

import asyncio
import time


class MonotonicTicker:
    """See ports.Ticker."""

    def seconds(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
