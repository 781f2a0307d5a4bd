"""Where apps live, and operators moving them: a move changes the row, the container follows later."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.deploy.domain import expected
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import AppBusy, Job
from daemons.deploy.domain.nodes import NodeNotFound, NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.placement import reassigned, require_room
from daemons.deploy.ports import NodeRows, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import place
from protocol.jobs import JobStatus


class SameNode(ValueError):
    """Source and target of a drain are one node."""

    def __init__(self) -> None:
        super().__init__("targetNodeId: must be another node than sourceNodeId")
        self.data = {"fields": ["targetNodeId"]}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a node's placements and how many there are."""

    items: Sequence[Placement]
    total: int


class Placements:
    """Reads and moves placements."""

    def __init__(self, store: Store, bells: Bells, policy: NodePolicy) -> None:
        self._store = store
        self._bells = bells
        self._policy = policy

    async def page(self, node_id: int, offset: int, limit: int) -> Page:
        """A node's placements by app id. Raises NodeNotFound."""

        async def work(tx: Transaction) -> Page:
            await require_node(tx, node_id)
            total = (await tx.count_placements_on({node_id})).get(node_id, 0)
            return Page(await tx.placements_on(node_id, offset, limit), total)

        return await self._store.transact(work)

    async def reassign(self, app_id: str, target_id: int, actor: Actor, seen: str | None = None) -> None:
        """Move one app that still lives where it was `seen`. Raises NodeNotFound, ChangedMeanwhile, AppBusy while a job
        of it runs, or why the target cannot take it."""

        async def work(tx: Transaction) -> None:
            target = await self._target(tx, target_id)
            running = await _hold(tx, app_id)
            before = await tx.placement(app_id)
            if before is not None and before.node_id == target_id:
                return
            expected.require_app(app_id, before, seen)
            if running is not None:
                raise AppBusy(app_id, running)
            reasons = reassigned(target, actor.name)
            await place(tx, Placement(app_id, target.id, await tx.now(), _since(before), reasons), actor)

        await self._store.transact(work)
        self._bells.changed()

    async def drain(self, source_id: int, target_id: int, limit: int, actor: Actor) -> int:
        """Move up to `limit` apps that have no running job; how many. Raises SameNode, NodeNotFound, or why the target
        cannot take them."""
        if source_id == target_id:
            raise SameNode

        async def work(tx: Transaction) -> int:
            source, target = await require_node(tx, source_id), await self._target(tx, target_id)
            reasons = reassigned(target, actor.name, source)
            placements = await tx.placements_on(source_id, 0, limit)
            now = await tx.now()
            moving = [each for each in placements if await _hold(tx, each.app_id) is None]
            for placement in moving:
                await place(tx, Placement(placement.app_id, target.id, now, placement.created_at, reasons), actor)
            return len(moving)

        moved = await self._store.transact(work)
        self._bells.changed()
        return moved

    async def _target(self, tx: Transaction, node_id: int) -> RuntimeNode:
        node = await require_node(tx, node_id)
        require_room(node, self._policy, await tx.now())
        return node


async def require_node(rows: NodeRows, node_id: int) -> RuntimeNode:
    """The node. Raises NodeNotFound."""
    node = await rows.node(node_id)
    if node is None:
        raise NodeNotFound(node_id)
    return node


async def _hold(tx: Transaction, app_id: str) -> Job | None:
    """The app's RUNNING job, if any. Until the transaction ends no other one of the app is created or claimed: a claim
    that already chose a node for it is waited for, and one that comes now passes the app's pending job by."""
    await tx.lock_app(app_id)
    for job in await tx.active_jobs(app_id):
        current = await tx.job(job.id, lock=True)
        if current is not None and current.status is JobStatus.RUNNING:
            return current
    return None


def _since(placement: Placement | None) -> int:
    return placement.created_at if placement else 0
