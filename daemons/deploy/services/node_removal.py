"""Deleting a node: refused while anything hangs on it, unless forced; then it says what was given up.

The work is done in pages, each a transaction of its own, the node out of service from the first: a removal that was cut
short is simply asked for again. The agent of a deleted node is kept out until an operator registers the node again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain import operations
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import Hanging, NodeInUse, NodeNotFound, NodePolicy, RuntimeNode, Tombstone, in_the_way
from daemons.deploy.domain.operations import Abandoned
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import NodeChange, displace, tell_of_node
from daemons.deploy.services.operations import Operations
from protocol.operations import OperationState

_PAGE: Final = 50
_NAMED: Final = 20
_SEARCHED: Final = 1000


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """The node as it was, and what was given up with it: apps that lived there and operations it still had to do."""

    node: RuntimeNode
    now: int
    apps: Sequence[str] = ()
    operations: Sequence[int] = ()


class NodeRemoval:
    """Deletes nodes."""

    def __init__(self, store: Store, bells: Bells, operations: Operations, policy: NodePolicy) -> None:
        self._store = store
        self._bells = bells
        self._operations = operations
        self._policy = policy

    async def remove(self, name: str, actor: Actor, *, force: bool, readmit: bool) -> NodeRemoved:
        """Delete the node. Raises NodeNotFound, and NodeInUse when not forced."""
        apps: list[str] = []
        given_up: list[int] = []
        if force:
            await self._store.transact(lambda tx: self._take_out(tx, name, actor))
            while page := await self._store.transact(lambda tx: self._displace(tx, name, actor)):
                apps.extend(page)
            while numbers := await self._store.transact(lambda tx: self._give_up(tx, name, actor)):
                given_up.extend(numbers)
        removed = await self._store.transact(lambda tx: self._delete(tx, name, actor, force=force, readmit=readmit))
        self._bells.changed()
        return replace(removed, apps=apps, operations=given_up)

    async def _take_out(self, tx: Transaction, name: str, actor: Actor) -> None:
        node = await _locked(tx, name)
        if node.enabled:
            now = await tx.now()
            disabled = replace(node, enabled=False, updated_at=now)
            await tx.save_node(disabled)
            change = NodeChange("disabled", disabled, node)
            await tell_of_node(tx, change, self._policy, now, actor, await _apps_on(tx, node.id))

    async def _displace(self, tx: Transaction, name: str, actor: Actor) -> list[str]:
        node = await _found(tx, name)
        gone = []
        for placement in await tx.placements_on(node.id, 0, _PAGE):
            await tx.lock_app(placement.app_id)
            current = await tx.placement(placement.app_id)
            if current is not None and current.node_id == node.id and await displace(tx, placement.app_id, actor):
                gone.append(placement.app_id)
        return gone

    async def _give_up(self, tx: Transaction, name: str, actor: Actor) -> list[int]:
        node, now = await _found(tx, name), await tx.now()
        pending = await tx.operations_of_node(node.id, _PAGE)
        for app_id in sorted({each.app_id for each in pending}):
            await tx.lock_app(app_id)
        given_up = []
        for each in pending:
            current = await tx.operation(each.id, lock=True)
            if current is None or current.state is not OperationState.PENDING:
                continue
            words = f"node {name} was deleted by an operator; the app may still run there"
            after = operations.abandon(current, Abandoned.NODE_DELETED, words, now)
            await self._operations.end(tx, after, current, actor)
            given_up.append(each.id)
        return given_up

    async def _delete(self, tx: Transaction, name: str, actor: Actor, *, force: bool, readmit: bool) -> NodeRemoved:
        node, now = await _locked(tx, name), await tx.now()
        hanging = await _hanging(tx, node.id)
        obstacles = in_the_way(node, self._policy, now, hanging, forced=force)
        if obstacles:
            raise NodeInUse(node.name, obstacles, hanging)
        await tell_of_node(tx, NodeChange("deleted", node, node), self._policy, now, actor, 0)
        await tx.delete_node(node.id)
        if not readmit:
            await tx.insert_tombstone(Tombstone(node.name, node.id, actor.name, now))
        return NodeRemoved(node, now)


async def _hanging(tx: Transaction, node_id: int) -> Hanging:
    placed = [each.app_id for each in await tx.placements_on(node_id, 0, _NAMED)]
    there = await tx.apps_on(node_id, _SEARCHED)
    homes, runs = await tx.placements_of(there), await tx.app_runs_of(there)
    left_behind = [
        app_id
        for app_id in there
        if (app_id not in homes or homes[app_id].node_id != node_id)
        and app_id in runs
        and runs[app_id].last_job_status != "STOPPED"
    ]
    drain = await tx.live_drain_of(node_id)
    return Hanging(
        await _apps_on(tx, node_id),
        placed,
        left_behind[:_NAMED],
        await tx.count_operations(node_id),
        drain.id if drain else None,
    )


async def _locked(tx: Transaction, name: str) -> RuntimeNode:
    node = await tx.node_named(name, lock=True)
    if node is None:
        raise NodeNotFound(name)
    return node


async def _found(tx: Transaction, name: str) -> RuntimeNode:
    node = await tx.node_named(name)
    if node is None:
        raise NodeNotFound(name)
    return node


async def _apps_on(tx: Transaction, node_id: int) -> int:
    return (await tx.count_placements_on({node_id})).get(node_id, 0)
