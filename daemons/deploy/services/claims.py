"""Hands pending jobs to waiting runners.

Claims of one process queue up here, first come first served, and one dispatcher serves all of them from one short
transaction. It wakes when a job or a node may have become available in this process, and polls every second for what
other replicas did; between the polls it does not look for jobs when there were none and none has come. A job whose
runner went away before the answer could be delivered goes back to the queue at once, and so does one whose claim ended
in doubt: if it was committed, nobody knows its lease token. Of a claim that was sent twice only the later sending
waits.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import succession
from daemons.deploy.domain.events import CONTROL_PLANE
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.matching import Offer
from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import write_job
from daemons.deploy.services.rounds import JOBS, Handed, Round, Terms

_POLL_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 3600.0
_LAST_MOMENT_SECONDS: Final = 0.25
_LAST_PUT_BACK_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiter:
    offer: Offer
    until: float
    here: Callable[[], bool]
    answer: "asyncio.Future[Handed | None]"
    tried: bool = False

    def settle(self, handed: Handed | None) -> bool:
        """Whether the answer reached a caller that is still there."""
        if self.answer.done():
            return False
        if handed is not None and not self.here():
            self.answer.set_result(None)
            return False
        self.answer.set_result(handed)
        return True

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Claims:
    """The dispatcher. `run` is its loop; `claim` is what runners wait in."""

    def __init__(self, store: Store, bells: Bells, terms: Terms) -> None:
        self._store = store
        self._bells = bells
        self._terms = terms
        self._after = ""
        self._held_back: str | None = None
        self._reserved_until = math.inf
        self._look_again_at = 0.0
        self._nothing_before: int | None = None
        self._waiting: deque[_Waiter] = deque()
        self._undelivered: deque[Job] = deque()

    async def claim(self, offer: Offer, wait_seconds: float, here: Callable[[], bool]) -> Handed | None:
        """A job, or None after `wait_seconds`. `here` says whether the caller is still connected."""
        if self._bells.closing:
            return None
        loop = asyncio.get_running_loop()
        until = loop.time() + max(0.0, wait_seconds - _LAST_MOMENT_SECONDS)
        waiter = _Waiter(offer, until, here, loop.create_future())
        for earlier in self._waiting:
            if offer.key is not None and earlier.offer.key == offer.key:
                earlier.settle(None)
        self._waiting.append(waiter)
        self._bells.work.ring()
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.answer.done() and not waiter.answer.cancelled() and waiter.answer.exception() is None:
                self.undelivered(waiter.answer.result())
            raise

    @property
    def idle(self) -> int:
        """How many runners wait for whom there was no job."""
        return sum(waiter.tried for waiter in self._waiting)

    def undelivered(self, handed: Handed | None) -> None:
        """The caller went away before it got this: put the job back. One that the same claim may have got before stays
        with its runner, which may be at work: it asks again, or its lease ends."""
        if handed is not None and not handed.again:
            self._undelivered.append(handed.job)
            self._bells.work.ring()

    def close(self) -> None:
        """Answer everybody empty, as before a shutdown."""
        while self._waiting:
            self._waiting.popleft().settle(None)

    async def run(self) -> None:
        """Serve for ever; on the way out, put back what was not delivered."""
        try:
            await self._run()
        finally:
            await self._put_back_at_last()

    async def _run(self) -> None:
        while True:
            await self._bells.work.wait(self._patience())
            try:
                await self._put_back()
                if self._may_find_work():
                    await self._serve()
            except Exception as error:
                logger.warning("claims could not be served", extra={"waiting": len(self._waiting)}, exc_info=error)
                for waiter in self._waiting:
                    waiter.fail(error)
            self._turn_away()

    def _patience(self) -> float:
        if not self._waiting:
            return _POLL_SECONDS if self._undelivered else _IDLE_SECONDS
        earliest = min(self._reserved_until, self._look_again_at, *(waiter.until for waiter in self._waiting))
        return min(_POLL_SECONDS, max(0.0, earliest - asyncio.get_running_loop().time()))

    def _may_find_work(self) -> bool:
        """False while the last look found no PENDING job, none has become so since, and nobody leaves before the next
        poll who has not had a look taken for them."""
        if self._nothing_before != self._bells.arrivals or asyncio.get_running_loop().time() >= self._look_again_at:
            return True
        return any(waiter.until <= self._look_again_at and not waiter.tried for waiter in self._waiting)

    async def _put_back_at_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_PUT_BACK_SECONDS):
                await self._put_back()
        except (StoreUnavailable, TimeoutError) as error:
            left = [job.id for job in self._undelivered]
            logger.warning("jobs wait for their leases to expire", extra={"jobs": left, "error": str(error)})

    async def _put_back(self) -> None:
        while self._undelivered:
            job = self._undelivered[0]

            async def work(tx: Transaction, job: Job = job) -> None:
                current = await tx.job(job.id, lock=True)
                if current is None or (current.version, current.lease_token) != (job.version, job.lease_token):
                    return
                newer = (await tx.pending_of({job.app_id})).get(job.app_id)
                after = succession.give_back(current, newer.id if newer else None, await tx.now())
                change = "cancelled" if newer else "requeued"
                await write_job(tx, after, current, change, CONTROL_PLANE)

            await self._store.transact(work)
            self._undelivered.popleft()
            self._bells.changed(job.id)

    async def _serve(self) -> None:
        while waiters := self._present():
            handed = await self._hand_out(waiters)
            for waiter in waiters:
                gift = handed.get(waiter.offer)
                if gift is not None and not waiter.settle(gift):
                    self.undelivered(gift)
            if handed:
                self._bells.feed.ring()
            if len(handed) < JOBS:
                for waiter in waiters:
                    waiter.tried = True
                return
            self._turn_away()

    async def _hand_out(self, waiters: Sequence[_Waiter]) -> dict[Offer, Handed]:
        latest: Round | None = None
        arrivals, self._nothing_before = self._bells.arrivals, None
        self._look_again_at = asyncio.get_running_loop().time() + _POLL_SECONDS
        awaited, self._held_back = self._held_back, None

        async def work(tx: Transaction) -> Round:
            nonlocal latest
            fresh = [waiter.offer for waiter in waiters if not waiter.tried]
            offers = [waiter.offer for waiter in waiters]
            latest = Round(tx, self._terms, offers, fresh, self._after, awaited)
            await latest.serve()
            return latest

        try:
            done = await self._store.transact(work)
        except (OutcomeUnknown, asyncio.CancelledError):
            for _, gift in latest.handed if latest else ():
                self.undelivered(gift)
            raise
        self._after, self._held_back = done.after, done.held_back
        self._nothing_before = arrivals if done.nothing_waits else None
        if done.held_back is not None:
            self._bells.work.ring()
        now = asyncio.get_running_loop().time()
        left = math.inf if done.reserved_until is None else (done.reserved_until - done.now) / 1000
        self._reserved_until = now + left
        return dict(done.handed)

    def _present(self) -> list[_Waiter]:
        present: list[_Waiter] = []
        for waiter in self._waiting:
            if not waiter.here():
                waiter.settle(None)
            elif not waiter.answer.done():
                present.append(waiter)
        self._waiting = deque(present)
        return present

    def _turn_away(self) -> None:
        now = asyncio.get_running_loop().time()
        for waiter in self._waiting:
            if waiter.tried and waiter.until <= now:
                waiter.settle(None)
        self._waiting = deque(waiter for waiter in self._waiting if not waiter.answer.done())
