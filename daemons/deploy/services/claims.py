"""Hands pending jobs to waiting runners.

Claims of one process queue up here, first come first served, and one dispatcher serves all of them from one short
transaction. It wakes when a job or a node may have become available in this process, and polls every second for what
other replicas did. A job whose runner went away before the answer could be delivered goes back to the queue at once,
and so does one whose claim ended in doubt: if it was committed, nobody knows its lease token.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.deploy.domain import jobs, succession
from daemons.deploy.domain.events import CONTROL_PLANE, Actor
from daemons.deploy.domain.jobs import Job, Lease
from daemons.deploy.domain.nodes import NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.placement import NoNode, choose, obstacle_to_redeploy
from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import place, tell_of_job, write_job

_POLL_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 3600.0
_LAST_MOMENT_SECONDS: Final = 0.25
_LAST_PUT_BACK_SECONDS: Final = 2.0
_BATCH: Final = 16
_CANDIDATES: Final = 32
_DEEP_CANDIDATES: Final = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Handed:
    """A job given to a runner, and the node it is for."""

    job: Job
    node: RuntimeNode


@dataclass(slots=True)
class _Waiter:
    runner_id: str
    lease_ms: int
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

    def __init__(self, store: Store, bells: Bells, policy: NodePolicy) -> None:
        self._store = store
        self._bells = bells
        self._policy = policy
        self._waiting: deque[_Waiter] = deque()
        self._undelivered: deque[Job] = deque()

    async def claim(
        self, runner_id: str, lease_seconds: int, wait_seconds: float, here: Callable[[], bool]
    ) -> Handed | None:
        """A job, or None after `wait_seconds`. `here` says whether the caller is still connected."""
        if self._bells.closing:
            return None
        loop = asyncio.get_running_loop()
        until = loop.time() + max(0.0, wait_seconds - _LAST_MOMENT_SECONDS)
        waiter = _Waiter(runner_id, lease_seconds * 1000, until, here, loop.create_future())
        self._waiting.append(waiter)
        self._bells.work.ring()
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.answer.done() and not waiter.answer.cancelled() and waiter.answer.exception() is None:
                self.undelivered(waiter.answer.result())
            raise

    def undelivered(self, handed: Handed | None) -> None:
        """The caller went away before it got this: put the job back."""
        if handed is not None:
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
                await self._serve()
            except Exception as error:
                logger.warning("claims could not be served", extra={"waiting": len(self._waiting)}, exc_info=error)
                for waiter in self._waiting:
                    waiter.fail(error)
            self._turn_away()

    def _patience(self) -> float:
        if not self._waiting:
            return _POLL_SECONDS if self._undelivered else _IDLE_SECONDS
        earliest = min(waiter.until for waiter in self._waiting)
        return min(_POLL_SECONDS, max(0.0, earliest - asyncio.get_running_loop().time()))

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
        while batch := self._batch():
            handed = await self._assign(batch)
            for waiter, gift in zip(batch, handed, strict=False):
                if not waiter.settle(gift):
                    self._undelivered.append(gift.job)
                    self._bells.work.ring()
            if handed:
                self._bells.feed.ring()
            if len(handed) < len(batch):
                for waiter in self._waiting:
                    waiter.tried = True
                return

    async def _assign(self, batch: Sequence[_Waiter]) -> list[Handed]:
        latest: list[Handed] = []

        async def work(tx: Transaction) -> list[Handed]:
            nonlocal latest
            current = _Round(tx, self._policy)
            latest = current.handed
            return await current.assign(batch)

        try:
            return await self._store.transact(work)
        except (OutcomeUnknown, asyncio.CancelledError):
            self._undelivered.extend(gift.job for gift in latest)
            raise

    def _batch(self) -> list[_Waiter]:
        batch: list[_Waiter] = []
        for waiter in self._waiting:
            if not waiter.here():
                waiter.settle(None)
            elif not waiter.answer.done():
                batch.append(waiter)
        self._waiting = deque(batch)
        return batch[:_BATCH]

    def _turn_away(self) -> None:
        now = asyncio.get_running_loop().time()
        for waiter in self._waiting:
            if waiter.tried and waiter.until <= now:
                waiter.settle(None)
        self._waiting = deque(waiter for waiter in self._waiting if not waiter.answer.done())


@dataclass(slots=True)
class _Round:
    """One transaction that serves a batch of waiting runners."""

    tx: Transaction
    policy: NodePolicy
    now: int = 0
    nodes: Sequence[RuntimeNode] = ()
    unseen: dict[int, int] | None = None
    handed: list[Handed] = field(default_factory=list)

    async def assign(self, batch: Sequence[_Waiter]) -> list[Handed]:
        """Jobs for the first of these runners, in order: fewer than there are runners when there is no more to do."""
        self.now = await self.tx.now()
        tried: set[str] = set()
        for limit in (_CANDIDATES, _DEEP_CANDIDATES):
            candidates = await self.tx.claimable(limit, self.now)
            await self._go_through([job for job in candidates if job.id not in tried], batch)
            tried.update(job.id for job in candidates)
            if len(self.handed) == len(batch) or len(candidates) < limit:
                break
        return self.handed

    async def _go_through(self, candidates: Sequence[Job], batch: Sequence[_Waiter]) -> None:
        if candidates and not self.nodes:
            self.nodes = await self.tx.nodes()
        placements = await self.tx.placements_of({job.app_id for job in candidates}) if candidates else {}
        for job in candidates:
            if len(self.handed) == len(batch):
                return
            node = await self._node_for(job, placements.get(job.app_id))
            if node is not None:
                await self._hand(job, node, batch[len(self.handed)])

    async def _hand(self, job: Job, node: RuntimeNode, waiter: _Waiter) -> None:
        fence = await self.tx.next_fence(job.app_id)
        lease = Lease(waiter.runner_id, secrets.token_urlsafe(24), fence, waiter.lease_ms)
        claimed = jobs.claim(job, lease, self.now)
        if not await self.tx.save_job(claimed, job):
            # Between the look at the app's RUNNING job and the lock on this one, the former may have been claimed
            # and this one ordered behind it: the unique index says so, and the job waits on.
            return
        await tell_of_job(self.tx, claimed, node, "claimed", Actor(f"runner:{waiter.runner_id}"))
        self.handed.append(Handed(claimed, node))

    async def _node_for(self, job: Job, placement: Placement | None) -> RuntimeNode | None:
        home = next((node for node in self.nodes if placement and node.id == placement.node_id), None)
        if home is not None and obstacle_to_redeploy(home, self.policy, self.now) is None:
            return home
        if home is not None and await self._has_run(job.app_id):
            return None
        try:
            node = choose(job.app_id, self.nodes, await self._unseen(), self.policy, self.now)
        except NoNode:
            return None
        await place(self.tx, Placement(job.app_id, node.id, self.now, self.now), CONTROL_PLANE)
        counts = await self._unseen()
        counts[node.id] = counts.get(node.id, 0) + 1
        return node

    async def _has_run(self, app_id: str) -> bool:
        """An app that never came up has nothing on its node that would tie it there."""
        run = await self.tx.app_run(app_id)
        return run is not None and run.last_deployed_at is not None

    async def _unseen(self) -> dict[int, int]:
        if self.unseen is None:
            self.unseen = {}
            for node in self.nodes:
                since = node.last_heartbeat_at or 0
                self.unseen[node.id] = (await self.tx.placed_since(since)).get(node.id, 0)
        return self.unseen
