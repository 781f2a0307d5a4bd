"""Carries operations out on their nodes, each again and again until it is done: the reading side of the outbox.

An operation is taken for a limited time in one transaction, attempted outside any, and settled in another, each guarded
by the operation's version: two replicas never attempt one at once, and what a crashed one had taken is taken over. An
attempt may happen twice; agents do the same thing again without harm.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import jobs, operations
from daemons.deploy.domain.events import CONTROL_PLANE
from daemons.deploy.domain.jobs import Job, TooLate
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.domain.operations import Abandoned, Operation, Sequel
from daemons.deploy.ports import Agent, AgentFailed, Store, StoreUnavailable, Transaction
from daemons.deploy.services.journal import forget_app, show_operation, write_job
from daemons.deploy.services.operations import OperationMoved, Operations
from protocol.errors import ErrorReason
from protocol.operations import OperationKind, OperationState

_POLL_SECONDS: Final = 1.0
_AT_ONCE: Final = 16
#: What a lease is longer than the attempt it is for.
_MARGIN_SECONDS: Final = 15.0
_random = secrets.SystemRandom()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of a forgotten app were deleted."""

    jobs: int = 0
    runs: int = 0
    placements: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt: the operation as it stands now, its node if there is one, the agent's answer if it did
    it, and what was forgotten with it."""

    operation: Operation
    node: RuntimeNode | None = None
    answer: Mapping[str, object] | None = None
    forgotten: Forgotten | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an attempt may take, and whether the repositories of deleted apps go from the registry."""

    policy: NodePolicy
    seconds: float
    removes_images: bool


class Outbox:
    """Attempts operations."""

    def __init__(self, store: Store, agent: Agent, operations: Operations, patience: Patience) -> None:
        self._store = store
        self._agent = agent
        self._operations = operations
        self._patience = patience
        self._under_way = 0

    async def run(self) -> None:
        """Attempt what is due, for ever, up to sixteen at once."""
        async with asyncio.TaskGroup() as group:
            while True:
                for operation in await self._take_some():
                    self._under_way += 1
                    group.create_task(self._work(operation), name=f"operation {operation.id}")
                await self._operations.bell.wait(_POLL_SECONDS)

    async def step(self) -> None:
        """Attempt what is due now, one after the other."""
        for operation in await self._take_some():
            self._under_way += 1
            await self._work(operation)

    async def attempt_all(self, mine: Sequence[Operation], seconds: float) -> list[Attempt]:
        """One attempt at each of these, which the caller holds; those that take longer are left to the loop."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._attempt(operation, seconds)) for operation in mine]
        self._operations.ring()
        return [task.result() for task in tasks]

    async def _take_some(self) -> Sequence[Operation]:
        free = _AT_ONCE - self._under_way
        if free <= 0:
            return ()
        try:
            return await self._store.transact(lambda tx: self._take(tx, free))
        except StoreUnavailable as error:
            logger.warning("operations could not be read and will be later", extra={"error": str(error)})
            return ()

    async def _take(self, tx: Transaction, limit: int) -> list[Operation]:
        now = await tx.now()
        due = await tx.due_operations(limit, now)
        if len(due) < limit:
            due = (*due, *await tx.awakened_operations(limit - len(due), now))
        lease_ms = int((self._patience.seconds + _MARGIN_SECONDS) * 1000)
        taken = []
        for operation in due:
            mine = operations.take(operation, self._operations.holder, lease_ms, now)
            if await tx.save_operation(mine, operation):
                taken.append(mine)
        return taken

    async def _work(self, operation: Operation) -> None:
        try:
            await self._attempt(operation, self._patience.seconds)
        finally:
            self._under_way -= 1
            self._operations.ring()

    async def _attempt(self, mine: Operation, seconds: float) -> Attempt:
        """One attempt. What the database refuses to note is attempted again once the lease has run out."""
        answer, node = None, None
        try:
            prepared = await self._store.transact(lambda tx: self._prepare(tx, mine))
            node = prepared.node
            if node is None or not node.agent_base_url:
                return prepared
            try:
                async with asyncio.timeout(seconds):
                    answer = await self._call(mine, node.agent_base_url)
            except TimeoutError:
                problem = AgentFailed(f"the runtime agent did not answer within {seconds:g} s")
                return await self._store.transact(lambda tx: self._put_off(tx, mine, node, problem))
            except AgentFailed as error:
                failed = error
                return await self._store.transact(lambda tx: self._put_off(tx, mine, node, failed))
            return await self._store.transact(lambda tx: self._settle(tx, mine, node, answer))
        except StoreUnavailable as error:
            logger.warning(
                "the database did not take what became of an operation; it will be attempted again",
                extra={"operation": mine.id, "app_id": mine.app_id, "error": str(error)},
            )
            return Attempt(mine, node, answer)

    async def _call(self, operation: Operation, url: str) -> Mapping[str, object]:
        if operation.kind is OperationKind.STOP:
            return await self._agent.stop(url, operation.user_id, operation.app_id, operation.fence)
        return await self._agent.delete(url, operation.user_id, operation.app_id, operation.fence)

    async def _prepare(self, tx: Transaction, mine: Operation) -> Attempt:
        """Whether it is still to be done, and where; without a node when it is not, or cannot be yet."""
        await tx.lock_app(mine.app_id)
        now, current = await tx.now(), await _still(tx, mine)
        if current is not mine:
            return Attempt(current)
        if (why := await _overtaken(tx, mine)) is not None:
            return Attempt(await self._abandon(tx, mine, Abandoned.DEPLOYED_AGAIN, why, now))
        node = await tx.node(mine.node_id)
        if node is None:
            why = f"there is no runtime node {mine.node_id} any more"
            return Attempt(await self._abandon(tx, mine, Abandoned.NODE_DELETED, why, now))
        if not node.agent_base_url:
            words = f"node {node.name} has no agent address yet"
            return Attempt(await self._postpone(tx, mine, ErrorReason.NODE_STALE.value, words), node)
        return Attempt(mine, node)

    async def _put_off(self, tx: Transaction, mine: Operation, node: RuntimeNode, error: AgentFailed) -> Attempt:
        """The node did not do it. It may have good reason: something newer has been there."""
        await tx.lock_app(mine.app_id)
        now, current = await tx.now(), await _still(tx, mine)
        if current is not mine:
            return Attempt(current, node)
        if error.reason != ErrorReason.STALE_FENCE.value:
            known = await tx.node(mine.node_id) or node
            reason, words = operations.failure(str(error), known, self._patience.policy, now)
            return Attempt(await self._postpone(tx, mine, reason, words), node)
        deploying = operations.being_deployed(mine, await tx.active_jobs(mine.app_id))
        if deploying is not None:
            words = f"job {deploying.id}, which is newer, is deploying the app"
            return Attempt(await self._postpone(tx, mine, ErrorReason.APP_BUSY.value, words), node)
        if (why := await _overtaken(tx, mine)) is not None:
            return Attempt(await self._abandon(tx, mine, Abandoned.DEPLOYED_AGAIN, why, now), node)
        pause = 0 if mine.attempts <= 1 else operations.pause_ms(mine.attempts, _random.random())
        after = operations.refence(mine, await tx.next_fence(mine.app_id), pause, now)
        return Attempt(await self._note(tx, after, mine), node)

    async def _settle(
        self, tx: Transaction, mine: Operation, node: RuntimeNode, answer: Mapping[str, object]
    ) -> Attempt:
        """The node did it: what follows, in the transaction that ends the operation."""
        await tx.lock_app(mine.app_id)
        busy = await _end_jobs(tx, mine) if mine.sequel.forgets else None
        now, current = await tx.now(), await _still(tx, mine)
        if current is not mine:
            return Attempt(current, node, answer)
        if busy is not None:
            words = f"job {busy.id} of the app has to end first"
            return Attempt(await self._postpone(tx, mine, ErrorReason.APP_BUSY.value, words), node, answer)
        if (why := await _overtaken(tx, mine)) is not None:
            return Attempt(await self._abandon(tx, mine, Abandoned.DEPLOYED_AGAIN, why, now), node, answer)
        done = operations.finish(mine, now)
        await self._operations.end(tx, done, mine, mine.actor)
        forgotten = await self._forget(tx, done) if done.sequel.forgets else None
        return Attempt(done, node, answer, forgotten)

    async def _forget(self, tx: Transaction, done: Operation) -> Forgotten | None:
        """The app is forgotten once no other node still has to do its part."""
        if any(other.sequel.forgets for other in await tx.pending_operations(done.app_id)):
            return None
        forgotten = Forgotten(*await forget_app(tx, done.app_id, done.actor))
        if done.sequel is Sequel.REMOVE_IMAGES and self._patience.removes_images:
            await tx.ask_review(done.app_id, done.user_id, await tx.now())
        return forgotten

    async def _postpone(self, tx: Transaction, mine: Operation, reason: str, words: str) -> Operation:
        pause = operations.pause_ms(mine.attempts, _random.random())
        after = operations.postpone(mine, reason, words, pause, await tx.now())
        if mine.attempts <= 1 or reason != mine.reason:
            logger.warning(
                "an operation on an app was not carried out and will be attempted again",
                extra={"operation": mine.id, "app_id": mine.app_id, "reason": reason, "error": words},
            )
        return await self._note(tx, after, mine)

    async def _note(self, tx: Transaction, after: Operation, mine: Operation) -> Operation:
        if not await tx.save_operation(after, mine):
            raise OperationMoved(mine.id)
        await show_operation(tx, after, CONTROL_PLANE)
        return after

    async def _abandon(self, tx: Transaction, mine: Operation, reason: Abandoned, words: str, now: int) -> Operation:
        after = operations.abandon(mine, reason, words, now)
        await self._operations.end(tx, after, mine, CONTROL_PLANE)
        return after


async def _still(tx: Transaction, mine: Operation) -> Operation:
    """The operation itself while it is ours, locked; otherwise what became of it."""
    current = await tx.operation(mine.id, lock=True)
    if current is not None and current.state is OperationState.PENDING and current.version == mine.version:
        return mine
    return current or _gone(mine)


def _gone(mine: Operation) -> Operation:
    """An operation whose row was deleted."""
    return operations.abandon(mine, Abandoned.SUPERSEDED, "it was forgotten", mine.updated_at)


async def _overtaken(tx: Transaction, mine: Operation) -> str | None:
    newest = next(iter(await tx.releases(mine.app_id, 2**31, 1)), None)
    job = await tx.job(newest.job_id) if newest is not None else None
    return operations.overtaken(mine, newest, job)


async def _end_jobs(tx: Transaction, mine: Operation) -> Job | None:
    """Cancel the app's jobs that are older than the operation; one that is still active then."""
    left = None
    for job in await tx.active_jobs(mine.app_id):
        current = await tx.job(job.id, lock=True)
        if current is None or current.status.terminal:
            continue
        try:
            if current.created_at > mine.created_at:
                raise TooLate(current.id)
            await write_job(tx, jobs.cancel(current, await tx.now()), current, "cancelled", mine.actor)
        except TooLate:
            left = current
    return left
