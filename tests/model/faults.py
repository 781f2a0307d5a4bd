"""The store as a schedule sees it: its own clock, answers that travel for a while, and faults at its border.

Every change that was committed is looked at, in the order of the commits.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, TypeVar, cast

from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.kit.database import Conflicted

T = TypeVar("T")
EPOCH_MS: Final = 1_800_000_000_000
#: How long a request or an answer of the database may be on its way, in seconds; most are quick.
_DELAYS: Final = (0.0, 0.0, 0.0, 0.001, 0.01, 0.2, 1.2)


class Fault(StrEnum):
    """What goes wrong with one transaction."""

    REFUSED = "refused"  # the database does not answer, and nothing was done
    ABORTED = "aborted"  # the connection breaks before the commit
    AGAIN = "again"  # a deadlock: all is done twice
    DONE_IN_DOUBT = "done in doubt"  # the commit's answer is lost, and it was done
    UNDONE_IN_DOUBT = "undone in doubt"  # the commit's answer is lost, and it was not done


class Clock:
    """The database's clock in epoch milliseconds: it passes with the loop's, and can be set."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Begin at the epoch of the schedules."""
        self._begin = self._seconds()
        self._set_by = 0

    def now(self) -> int:
        """The time."""
        return EPOCH_MS + round((self._seconds() - self._begin) * 1000) + self._set_by

    def set_by(self, milliseconds: int) -> None:
        """Set it forward, or back."""
        self._set_by += milliseconds


class Network:
    """How long things take. Calm, everything is there at once; else it follows from a number."""

    def __init__(self) -> None:
        self._random: random.Random | None = None

    def weather(self, number: int) -> None:
        """0 is calm."""
        self._random = random.Random(number) if number else None

    @property
    def slow(self) -> bool:
        """Whether anything takes time."""
        return self._random is not None

    async def travel(self) -> None:
        """Be on the way."""
        if self._random is not None:
            await asyncio.sleep(self._random.choice(_DELAYS))


class _TransactionAt:
    """A transaction that reads the schedule's clock."""

    def __init__(self, tx: Transaction, clock: Clock) -> None:
        self._tx = tx
        self._clock = clock

    async def now(self) -> int:
        return self._clock.now()

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)


class _Aborted(Exception):
    pass


class ModelStore:
    """A replica's way to the database. Once `dead`, nothing of that process reaches the database any more."""

    def __init__(
        self,
        inner: Store,
        clock: Clock,
        network: Network,
        look: Callable[[Transaction], Awaitable[None]],
        trouble: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._network = network
        self._look = look
        self._trouble = trouble
        self.dead = False
        self.faults: deque[Fault | None] = deque()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """As the port says."""
        fault = self.faults.popleft() if self.faults else None
        await self._network.travel()
        self._alive()
        if fault is not None:
            self._trouble()
        if fault is Fault.REFUSED:
            raise StoreUnavailable("the database did not answer, says the schedule")
        try:
            result = await self._inner.transact(self._within(work, fault))
        except _Aborted:
            if fault is Fault.UNDONE_IN_DOUBT:
                raise OutcomeUnknown("the commit's answer was lost, says the schedule") from None
            raise StoreUnavailable("the connection broke, says the schedule") from None
        await self._network.travel()
        self._alive()
        if fault is Fault.DONE_IN_DOUBT:
            raise OutcomeUnknown("the commit's answer was lost, says the schedule")
        return result

    async def check(self) -> None:
        """As the port says."""
        await self.transact(lambda tx: tx.now())

    def _alive(self) -> None:
        if self.dead:
            raise StoreUnavailable("this process was killed")

    def _within(
        self, work: Callable[[Transaction], Awaitable[T]], fault: Fault | None
    ) -> Callable[[Transaction], Awaitable[T]]:
        runs = 0

        async def inside(tx: Transaction) -> T:
            nonlocal runs
            runs += 1
            at = cast(Transaction, _TransactionAt(tx, self._clock))
            result = await work(at)
            if fault in (Fault.ABORTED, Fault.UNDONE_IN_DOUBT):
                raise _Aborted
            if fault is Fault.AGAIN and runs == 1:
                raise Conflicted("a deadlock, says the schedule")
            await self._look(at)
            return result

        return inside
