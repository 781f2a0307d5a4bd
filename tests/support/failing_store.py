"""A control plane's store that breaks in the middle of something."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from daemons.deploy.ports import Store, StoreUnavailable, Transaction

T = TypeVar("T")


class FailingStore:
    """A store that breaks after so many transactions."""

    def __init__(self, store: Store, works: int) -> None:
        self._store = store
        self._works = works

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        self._works -= 1
        if self._works < 0:
            raise StoreUnavailable("the database is away")
        return await self._store.transact(work)

    async def check(self) -> None:
        """It is never asked."""
