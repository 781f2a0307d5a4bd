"""The store as a schedule sees it: its own clock, answers that travel for a while, and faults at its border.

Every change that was committed is looked at, in the order of the commits.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar, cast

from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.kit.database import Conflicted

T = TypeVar("T")
EPOCH_MS: Final = 1_800_000_000_000
#: How long a request or an answer of the database may be on its way, in seconds; most are quick.
DELAYS: Final = (0.0, 0.0, 0.0, 0.001, 0.01, 0.2, 1.2)
#: The same between two statements of a transaction, while it holds its locks.
_BETWEEN: Final = (0.0, 0.0, 0.0, 0.001, 0.02)


#: Of the transaction's methods, those most often called that only read: a transaction that calls no other changed no
#: job, and its commit need not be looked at.
_READS: Final = frozenset(
    {"expired", "running_since", "pending_of", "running_of", "singletons", "singleton_epoch", "standings", "held_by"}
    | {"oldest_standings", "due_operations", "awakened_operations", "events_after", "event_bounds", "nodes", "runners"}
)


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

    async def travel(self, delays: Sequence[float] = DELAYS) -> None:
        """Be on the way."""
        if self._random is not None:
            await asyncio.sleep(self._random.choice(delays))


class Outside:
    """A database of its own process. `waiting` counts the answers that it owes us. Between two statements of one
    transaction others may get their turn; commits follow one another, so that each is seen for itself."""

    def __init__(self) -> None:
        self.waiting = 0
        #: Transactions that pause: between two statements, or before they are tried again.
        self.pausing = 0
        self.committing = asyncio.Lock()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """It was asked something."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class _TransactionAt:
    """A transaction that reads the schedule's clock, once, and notes whether it may have written."""

    def __init__(self, tx: Transaction, clock: Clock, network: Network, outside: Outside | None) -> None:
        self._tx = tx
        self._clock = clock
        self._network = network
        self._outside = outside
        self._now: int | None = None
        self.wrote = False

    async def now(self) -> int:
        if self._now is None:
            self._now = self._clock.now()
        return self._now

    def __getattr__(self, name: str) -> object:
        if name not in _READS:
            self.wrote = True
        method = getattr(self._tx, name)
        outside = self._outside
        if outside is None:
            return method

        async def one_statement(*given: object, **named: object) -> object:
            outside.pausing += 1
            try:
                await self._network.travel(_BETWEEN)
            finally:
                outside.pausing -= 1
            with outside.asked():
                return await method(*given, **named)

        return one_statement


class _Aborted(Exception):
    pass


class ModelStore:
    """A replica's way to the database. Once `dead`, nothing of that process reaches the database any more.

    `outside` is given when the database is a process of its own.
    """

    def __init__(self, inner: Store, world: "Surroundings", outside: Outside | None) -> None:
        self._inner = inner
        self._world = world
        self._outside = outside
        self.dead = False
        self.faults: deque[Fault | None] = deque()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """As the port says."""
        fault = self.faults.popleft() if self.faults else None
        await self._world.network.travel()
        self._alive()
        if fault is not None:
            self._world.trouble()
        if fault is Fault.REFUSED:
            raise StoreUnavailable("the database did not answer, says the schedule")
        result = await self._run(work, fault)
        await self._world.network.travel()
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

    async def _run(self, work: Callable[[Transaction], Awaitable[T]], fault: Fault | None) -> T:
        turn = _Turn(self._outside)
        try:
            with turn:
                return await self._carried_through(self._inner.transact(self._within(work, fault, turn)), turn)
        except _Aborted:
            if fault is Fault.UNDONE_IN_DOUBT:
                raise OutcomeUnknown("the commit's answer was lost, says the schedule") from None
            raise StoreUnavailable("the connection broke, says the schedule") from None

    async def _carried_through(self, transaction: Coroutine[Any, Any, T], turn: "_Turn") -> T:
        """A transaction of another program that was looked at commits although its caller was killed meanwhile: what
        was seen must be what is there. That one is killed before its commit and leaves nothing is played, too: until
        then it ends with its caller."""
        if self._outside is None:
            return await transaction
        task = asyncio.ensure_future(transaction)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not turn.committing:
                task.cancel()
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
            raise

    def _within(
        self, work: Callable[[Transaction], Awaitable[T]], fault: Fault | None, turn: "_Turn"
    ) -> Callable[[Transaction], Awaitable[T]]:
        runs = 0

        async def inside(tx: Transaction) -> T:
            nonlocal runs
            runs += 1
            turn.release()
            at = _TransactionAt(tx, self._world.clock, self._world.network, self._outside)
            with turn.ours():
                result = await work(cast(Transaction, at))
                if fault in (Fault.ABORTED, Fault.UNDONE_IN_DOUBT):
                    raise _Aborted
                if fault is Fault.AGAIN and runs == 1:
                    raise Conflicted("a deadlock, says the schedule")
                self._alive()
                await turn.commits()
            if at.wrote:
                await self._world.look(tx, await at.now())
            return result

        return inside


class _Turn:
    """Whose turn it is during one transaction: ours while its work runs, the database's at both ends."""

    def __init__(self, outside: Outside | None) -> None:
        self._outside = outside
        self.committing = False
        self._pausing = False

    def _pauses(self, pausing: bool) -> None:
        if self._outside is not None:
            self._outside.pausing += pausing - self._pausing
            self._pausing = pausing

    def __enter__(self) -> None:
        if self._outside is not None:
            self._outside.waiting += 1

    def __exit__(self, *_: object) -> None:
        if self._outside is not None:
            self._outside.waiting -= 1
        self._pauses(False)
        self.release()

    def release(self) -> None:
        """Let others commit."""
        if self._outside is not None and self.committing:
            self._outside.committing.release()
            self.committing = False

    @contextmanager
    def ours(self) -> Iterator[None]:
        """We are not waiting for the database."""
        if self._outside is None:
            yield
            return
        self._outside.waiting -= 1
        self._pauses(False)
        try:
            yield
        except Conflicted:
            self._pauses(True)
            raise
        finally:
            self._outside.waiting += 1

    async def commits(self) -> None:
        """Wait until no other transaction is between its look and the end of its commit."""
        if self._outside is not None:
            await self._outside.committing.acquire()
            self.committing = True


class Surroundings(Protocol):
    """What a store takes from the world."""

    clock: Clock
    network: Network

    async def look(self, tx: Transaction, now: int) -> None:
        """A transaction that began at `now` is about to commit."""
        ...

    def trouble(self) -> None:
        """A fault happened."""
        ...
