"""Group commit: what arrives while one batch is being carried out makes up the next.

    commits = Batches(carry_out, most=64)
    answer = await commits.do(member)         # from any number of requests at once

No timer is involved: a member that finds nobody at work starts at once, alone, and the next batch starts when the one
before returns. With `apart` it also starts no sooner than so many seconds after the start of the one before, unless it
is full. Members keep their order. Each gets its own outcome: a value, an error that is its own, or another turn, first
in the next batch. What `carry_out` raises is the error of all its members. A caller that goes away leaves its member in
the batch, because the others are in the same one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

M = TypeVar("M")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The member's own result."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """The member's own error."""

    error: Exception


class Later(Enum):
    """The member has to be carried out in another batch."""

    LATER = "later"


LATER: Final = Later.LATER


@dataclass(slots=True)
class _Entry(Generic[M, R]):
    member: M
    answer: "asyncio.Future[R]"


class Batches(Generic[M, R]):
    """One line of batches of at most `most` members, one batch at a time, their starts at least `apart` seconds apart.

    `carry_out` answers one outcome per member, in their order, and never LATER for the first.
    """

    def __init__(
        self,
        carry_out: Callable[[Sequence[M]], Awaitable[Sequence[Done[R] | Failed | Later]]],
        *,
        most: int,
        apart: float = 0.0,
    ) -> None:
        self._carry_out = carry_out
        self._most = most
        self._apart = apart
        self._next_at = 0.0
        self._waiting: deque[_Entry[M, R]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def do(self, member: M) -> R:
        """The member's result. Raises its error, or the one of its whole batch."""
        entry = _Entry[M, R](member, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._work is None or self._work.done():
            self._work = asyncio.ensure_future(self._all())  # noqa: TID251 - ends with the last who waits for it
        return await entry.answer

    async def _all(self) -> None:
        while self._waiting:
            batch: list[_Entry[M, R]] = []
            try:
                await self._turn()
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                outcomes = await self._carry_out([entry.member for entry in batch])
            except asyncio.CancelledError:
                for entry in (*batch, *self._waiting):
                    entry.answer.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it is every member's answer
                outcomes = [Failed(error)] * len(batch)
            self._settle(batch, outcomes)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._apart and len(self._waiting) < self._most and (rest := self._next_at - loop.time()) > 0:
            await asyncio.sleep(rest)
        self._next_at = loop.time() + self._apart

    def _settle(self, batch: Sequence[_Entry[M, R]], outcomes: Sequence[Done[R] | Failed | Later]) -> None:
        again: list[_Entry[M, R]] = []
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Later):
                again.append(entry)
            elif entry.answer.done():
                continue
            elif isinstance(outcome, Failed):
                entry.answer.set_exception(outcome.error)
            else:
                entry.answer.set_result(outcome.value)
        self._waiting.extendleft(reversed(again))
