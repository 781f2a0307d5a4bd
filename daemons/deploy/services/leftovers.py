"""Copies of an app on nodes where it does not live (any more): stopped durably, once the app serves elsewhere.

The stop is an operation of the outbox, asked for in the transaction that notes what became of the move, and so is done
however long its node is away. It carries a newer fence than whatever ran there.
"""

from daemons.deploy.domain import drains, operations
from daemons.deploy.domain.drains import Drain
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.operations import Abandoned, Request, Sequel
from daemons.deploy.ports import Transaction
from daemons.deploy.services.operations import Operations
from protocol.operations import OperationKind


class Leftovers:
    """What plans ask of the outbox."""

    def __init__(self, asked: Operations) -> None:
        self._operations = asked

    async def clear(self, tx: Transaction, drain: Drain, app_id: str, node_id: int | None) -> None:
        """Have the app stopped on that node, unless that is where it is to run."""
        await tx.lock_app(app_id)
        placement, run = await tx.placement(app_id), await tx.app_run(app_id)
        lives_there = placement is not None and placement.node_id == node_id
        if node_id is None or (lives_there and not (run is not None and drains.halted(run))):
            return
        if any(asked.node_id == node_id for asked in await tx.pending_operations(app_id)):
            return
        owner = next((job.user_id for job in await tx.jobs_of_app(app_id, 1)), None)
        if owner is None:
            return
        cause, actor = f"drain:{drain.id}", Actor(f"drain:{drain.id}")
        await self._operations.ask(tx, Request(OperationKind.STOP, app_id, owner, node_id, cause, actor))

    async def expect(self, tx: Transaction, drain: Drain, app_id: str, node_id: int) -> None:
        """A job is about to start the app there: a stop of before that the node has not carried out yet must not be
        given a newer fence and meet it. Should the job fail, the node is cleared again."""
        for operation in await tx.pending_operations(app_id, lock=True):
            plain = operation.kind is OperationKind.STOP and operation.sequel is Sequel.NOTHING
            if operation.node_id == node_id and plain:
                words = f"drain {drain.id} moves the app there"
                after = operations.abandon(operation, Abandoned.DEPLOYED_AGAIN, words, await tx.now())
                await self._operations.end(tx, after, operation, Actor(f"drain:{drain.id}"))

    def ring(self) -> None:
        """Something was asked for and is committed."""
        self._operations.ring()
