"""Asking nodes for stops and deletes that will be done, whenever they can be: the writing side of the outbox.

An operation is asked for in the transaction of the change that wants it, so that neither is lost without the other;
`Outbox` carries it out.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import operations
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.operations import (
    Abandoned,
    Operation,
    OperationEnded,
    OperationNotFound,
    Request,
)
from daemons.deploy.ports import OperationFilter, Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bell, Bells
from daemons.deploy.services.journal import tell_of_operation
from protocol.operations import OperationState

_KEPT_MS: Final = 7 * 24 * 3600 * 1000
_PAGE: Final = 500


class OperationMoved(StoreUnavailable):
    """Somebody else wrote the row first although it was locked; nothing was changed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"operation {number} was changed at the same moment; try again")


@dataclass(frozen=True, slots=True)
class OperationList:
    """A page of operations, as of `now`; `more` when others follow."""

    now: int
    items: Sequence[Operation]
    more: bool


class Operations:
    """What there is to be done, and new entries. `holder` names this process to the others."""

    def __init__(self, store: Store, bells: Bells) -> None:
        self._store = store
        self._bells = bells
        self.holder: Final = secrets.token_hex(8)
        self.bell: Final = Bell()

    async def ask(self, tx: Transaction, request: Request, *, hold_ms: int = 0) -> Operation:
        """Write an operation in this transaction, in place of a pending one of the same app and node. Call `ring` once
        it is committed. With `hold_ms` it is the caller's to attempt for so long, and nobody else's."""
        await tx.lock_app(request.app_id)
        now, over = await tx.now(), None
        for pending in await tx.pending_operations(request.app_id, lock=True):
            if pending.node_id == request.node_id:
                over = pending
        operation = operations.asked(request, await tx.next_fence(request.app_id), over, now)
        if hold_ms:
            operation = operations.take(operation, self.holder, hold_ms, now)
        written = await tx.insert_operation(operation)
        if over is not None:
            words = f"operation {written.id} took its place"
            await self.end(tx, operations.abandon(over, Abandoned.SUPERSEDED, words, now), over, request.actor)
        await tell_of_operation(tx, written, "asked", request.actor, None)
        return written

    async def end(self, tx: Transaction, operation: Operation, was: Operation, actor: Actor) -> None:
        """Write the end of an operation and tell of it. Raises OperationMoved."""
        if not await tx.save_operation(operation, was):
            raise OperationMoved(was.id)
        await tell_of_operation(tx, operation, operation.state.value.lower(), actor, was)

    def ring(self) -> None:
        """There may be something to do now, and something to tell."""
        self._bells.changed()
        self.bell.ring()

    async def page(self, wanted: OperationFilter, before: int, limit: int) -> OperationList:
        """Newest first, those with an id below `before`."""

        async def work(tx: Transaction) -> OperationList:
            found = await tx.operations(wanted, before, limit + 1)
            return OperationList(await tx.now(), found[:limit], len(found) > limit)

        return await self._store.transact(work)

    async def get(self, number: int) -> tuple[Operation, int]:
        """One operation and the time. Raises OperationNotFound."""

        async def work(tx: Transaction) -> tuple[Operation, int]:
            found = await tx.operation(number)
            if found is None:
                raise OperationNotFound(number)
            return found, await tx.now()

        return await self._store.transact(work)

    async def retry(self, number: int, actor: Actor) -> tuple[Operation, int]:
        """Have it tried now, whatever its back-off; the operation and the time. Raises OperationNotFound and
        OperationEnded."""

        async def work(tx: Transaction) -> tuple[Operation, int]:
            now = await tx.now()
            before = await _locked(tx, number)
            after = operations.hurry(before, now)
            if after is not before:
                if not await tx.save_operation(after, before):
                    raise OperationMoved(number)
                await tell_of_operation(tx, after, "hurried", actor, before)
            return after, now

        hurried = await self._store.transact(work)
        self.ring()
        return hurried

    async def abandon(self, number: int, actor: Actor) -> tuple[Operation, int]:
        """Give it up on an operator's word; the operation and the time. Raises OperationNotFound and
        OperationEnded."""

        async def work(tx: Transaction) -> tuple[Operation, int]:
            found = await tx.operation(number)
            if found is None:
                raise OperationNotFound(number)
            await tx.lock_app(found.app_id)
            now, before = await tx.now(), await _locked(tx, number)
            if before.state is not OperationState.PENDING:
                raise OperationEnded(before)
            after = operations.abandon(before, Abandoned.BY_OPERATOR, "given up by an operator", now)
            await self.end(tx, after, before, actor)
            return after, now

        ended = await self._store.transact(work)
        self.ring()
        return ended

    async def tidy(self) -> None:
        """Forget what ended a week ago."""

        async def work(tx: Transaction) -> int:
            return await tx.forget_operations(_PAGE, await tx.now() - _KEPT_MS)

        while await self._store.transact(work) == _PAGE:
            continue


async def _locked(tx: Transaction, number: int) -> Operation:
    found = await tx.operation(number, lock=True)
    if found is None:
        raise OperationNotFound(number)
    return found
