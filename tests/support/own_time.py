"""A clock that a test moves: what sleeps on it takes as long as the test says, and no real time."""

import asyncio


class OwnTime:
    """Seconds since the beginning; they pass when `pass_` is called."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._changed = asyncio.Condition()
        self._wake_at: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed."""
        until = self.seconds + seconds
        async with self._changed:
            self._wake_at.append(until)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.seconds >= until)

    async def pass_(self, seconds: float) -> None:
        """Let time pass; whoever slept until then goes on."""
        async with self._changed:
            self.seconds += seconds
            self._wake_at = [at for at in self._wake_at if at > self.seconds]
            self._changed.notify_all()

    async def somebody_sleeps(self) -> None:
        """Return when somebody sleeps."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._wake_at))
