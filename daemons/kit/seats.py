"""A bounded number of long-lived readers, in all and of each thing; at a shutdown they are sent away."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class NoSeat(Exception):
    """As many are served as can be."""


class Seats:
    """At most `most` at once, at most `most_each` with the same key."""

    def __init__(self, what: str, most: int, most_each: int) -> None:
        self._what = what
        self._most = most
        self._most_each = most_each
        self._taken: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()

    @property
    def taken(self) -> int:
        """How many are served now."""
        return self._taken.total()

    @contextmanager
    def take(self, key: str) -> Iterator[None]:
        """A seat for the duration of the block, whose task is the seat's own. Raises NoSeat."""
        if self._taken[key] >= self._most_each:
            raise NoSeat(f"there are {self._most_each} {self._what} of {key} already; close one and try again")
        if self.taken >= self._most:
            raise NoSeat(f"there are {self._most} {self._what} already; close one and try again")
        self._taken[key] += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            yield
        finally:
            if task is not None:
                self._tasks.discard(task)
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
            if not self._taken:
                self._empty.set()

    async def left(self, seconds: float) -> bool:
        """Wait until nobody has a seat any more; false when somebody still has after so many seconds."""
        self._empty.clear()
        if self.taken:
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                return False
        return True

    def close(self) -> None:
        """Cancel everybody who has a seat: a server that ends does not wait for readers who would never leave."""
        for task in tuple(self._tasks):
            task.cancel()
