"""Plans that drain nodes as operators order them: looked at first, then made, paused, resumed, undone, given up.

An order changes the plan's rows and nothing else; `DrainSteps` carries them out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from daemons.deploy.domain import drains, expected, jobs, moves
from daemons.deploy.domain.capacity import DoesNotFit, Forecast, Targets, forecast
from daemons.deploy.domain.drain_views import drain_detail, drain_view
from daemons.deploy.domain.drains import Drain, DrainLive, DrainNotFound, Move, Resident
from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.jobs import TooLate
from daemons.deploy.domain.nodes import NodeNotFound, NodePolicy, RuntimeNode
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import NodeChange, tell_of_node, write_job
from daemons.deploy.services.residents import Holders, residents_on, unseen
from protocol.drains import DrainDetail, DrainKind, DrainState, DrainView, MoveState, StartDrain

_FAILURES: Final = 100
_GIVEN_UP: Final = "given up by an operator before it began"
_UNDONE_FIRST: Final = "the drain was undone before it began"


class DrainMoved(StoreUnavailable):
    """Somebody else wrote the plan first although it was locked; nothing was changed."""

    def __init__(self, drain_id: int) -> None:
        super().__init__(f"drain {drain_id} was changed at the same moment; try again")


@dataclass(frozen=True, slots=True)
class Outlook:
    """A node, and what would become of its apps now."""

    node: RuntimeNode
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class DrainList:
    """A page of plans; `more` when older ones follow."""

    items: Sequence[DrainView]
    more: bool


@dataclass(frozen=True, slots=True)
class _Scene:
    node: RuntimeNode
    others: Sequence[RuntimeNode]
    residents: Sequence[Resident]
    unseen: Mapping[int, int]
    now: int


class Drains:
    """What operators do with plans; with `seen` only while the plan is still like that, else ChangedMeanwhile."""

    def __init__(self, store: Store, bells: Bells, holders: Holders, policy: NodePolicy) -> None:
        self._store = store
        self._bells = bells
        self._holders = holders
        self._policy = policy

    async def preview(self, name: str) -> Outlook:
        """What a drain of the node would do now; nothing is changed. Raises NodeNotFound."""
        scene = await self._store.transact(lambda tx: self._scene(tx, name))
        return Outlook(scene.node, self._forecast(scene, await self._held(scene)))

    async def start(
        self, order: StartDrain, actor: Actor, kind: DrainKind = DrainKind.DRAIN, seen: str | None = None
    ) -> DrainDetail:
        """A RUNNING plan; a drain cordons the node with it. Raises NodeNotFound, ChangedMeanwhile unless the node is as
        it was `seen`, DrainLive and DoesNotFit."""
        held = await self._held(await self._store.transact(lambda tx: self._scene(tx, order.node)))

        async def work(tx: Transaction) -> DrainDetail:
            scene = await self._scene(tx, order.node, lock=True)
            expected.require_node(scene.node, seen)
            if live := await tx.live_drain_of(scene.node.id):
                raise DrainLive(order.node, live)
            outlook = self._forecast(scene, held)
            if not outlook.fits and not (order.partial and (kind is DrainKind.DRAIN or outlook.some)):
                raise DoesNotFit(order.node, outlook)
            drain = await _insert(tx, order, scene, kind, actor)
            made = [await _insert_move(tx, drain, each.resident.app_id, each.reasons) for each in outlook.moves]
            if kind is DrainKind.DRAIN:
                await self._enable(tx, scene.node, enabled=False, actor=actor)
            drain = await conclude(tx, drain, made)
            await tell_of_drain(tx, drain, "created", actor, made)
            return await detail(tx, drain, made)

        return self._changed(await self._store.transact(work))

    async def page(self, before: int, limit: int) -> DrainList:
        """Plans with an id below `before`, newest first."""

        async def work(tx: Transaction) -> DrainList:
            found = await tx.drains_before(before, limit + 1)
            return DrainList(await _views(tx, found[:limit]), len(found) > limit)

        return await self._store.transact(work)

    async def get(self, drain_id: int) -> DrainDetail:
        """A plan with its moves. Raises DrainNotFound."""

        async def work(tx: Transaction) -> DrainDetail:
            drain = await tx.drain(drain_id)
            if drain is None:
                raise DrainNotFound(drain_id)
            return await detail(tx, drain, await tx.moves(drain_id))

        return await self._store.transact(work)

    async def pause(self, drain_id: int, actor: Actor, seen: str | None = None) -> DrainDetail:
        """Start no further move. Raises DrainNotFound and DrainOver."""
        return await self._turn(drain_id, drains.paused, actor, seen)

    async def resume(self, drain_id: int, actor: Actor, seen: str | None = None) -> DrainDetail:
        """Go on. Raises DrainNotFound and DrainOver."""
        return await self._turn(drain_id, drains.resumed, actor, seen)

    async def cancel(self, drain_id: int, actor: Actor, seen: str | None = None) -> DrainDetail:
        """Skip what has not begun; what moves goes on, what was moved stays. Raises DrainNotFound and DrainOver."""

        async def work(tx: Transaction) -> DrainDetail:
            before = await _locked(tx, drain_id)
            expected.require_drain(before, seen)
            now = await tx.now()
            after = drains.resumed(before, now)
            await _drop(tx, before, _GIVEN_UP, now)
            return await self._written(tx, after, before, "cancelled", actor)

        return self._changed(await self._store.transact(work))

    async def undo(self, drain_id: int, actor: Actor, seen: str | None = None) -> DrainDetail:
        """Bring back what was moved, drop what was not, and make the node what it was before.

        Raises DrainNotFound, DrainOver, and DrainLive while the node has a newer plan.
        """

        async def work(tx: Transaction) -> DrainDetail:
            before = await _locked(tx, drain_id)
            expected.require_drain(before, seen)
            now = await tx.now()
            after = drains.undoing(before, now)
            if after is before:
                return await detail(tx, before, await tx.moves(drain_id))
            node = await tx.node(before.node_id)
            live = await tx.live_drain_of(before.node_id)
            if live is not None and live.id != before.id:
                raise DrainLive(node.name if node else str(before.node_id), live)
            await _drop(tx, before, _UNDONE_FIRST, now)
            await _call_back(tx, before, now, actor)
            if node is not None and before.kind is DrainKind.DRAIN:
                await self._enable(tx, node, enabled=before.was_enabled, actor=actor)
            return await self._written(tx, after, before, "undoing", actor)

        return self._changed(await self._store.transact(work))

    async def _turn(
        self, drain_id: int, step: Callable[[Drain, int], Drain], actor: Actor, seen: str | None
    ) -> DrainDetail:
        async def work(tx: Transaction) -> DrainDetail:
            before = await _locked(tx, drain_id)
            expected.require_drain(before, seen)
            after = step(before, await tx.now())
            return await self._written(tx, after, before, after.state.value.lower(), actor)

        return self._changed(await self._store.transact(work))

    async def _written(self, tx: Transaction, after: Drain, before: Drain, change: str, actor: Actor) -> DrainDetail:
        if after is not before:
            if not await tx.save_drain(after, before):
                raise DrainMoved(before.id)
            after = replace(after, version=before.version + 1)
        if after is not before or change == "cancelled":
            await tell_of_drain(tx, after, change, actor, was={"state": before.state.value})
        found = await tx.moves(after.id)
        return await detail(tx, await conclude(tx, after, found), found)

    async def _held(self, scene: _Scene) -> Mapping[str, frozenset[int]]:
        return await self._holders.of(scene.residents, scene.others, scene.now)

    def _forecast(self, scene: _Scene, held: Mapping[str, frozenset[int]]) -> Forecast:
        return forecast(scene.residents, Targets(scene.others, scene.unseen, held, self._policy, scene.now))

    async def _scene(self, tx: Transaction, name: str, *, lock: bool = False) -> _Scene:
        node = await tx.node_named(name, lock=lock)
        if node is None:
            raise NodeNotFound(name)
        others = [each for each in await tx.nodes() if each.id != node.id]
        coming = await unseen(tx, others, self._policy)
        return _Scene(node, others, await residents_on(tx, node.id), coming, await tx.now())

    async def _enable(self, tx: Transaction, node: RuntimeNode, *, enabled: bool, actor: Actor) -> None:
        current = await tx.node_named(node.name, lock=True)
        if current is None or current.enabled is enabled:
            return
        now = await tx.now()
        after = replace(current, enabled=enabled, updated_at=now)
        await tx.save_node(after)
        count = (await tx.count_placements_on({node.id})).get(node.id, 0)
        change = NodeChange("enabled" if enabled else "disabled", after, current)
        await tell_of_node(tx, change, self._policy, now, actor, count)

    def _changed(self, made: DrainDetail) -> DrainDetail:
        self._bells.changed()
        return made


async def tell_of_drain(
    tx: Transaction, drain: Drain, change: str, actor: Actor, changed: Sequence[Move] = (), was: object = None
) -> None:
    """Append the event of a plan written in this transaction, with those of its moves that changed; `was` is what the
    change altered, as JSON-compatible builtins."""
    body, before = (await detail(tx, drain, changed)).to_json().decode(), orjson.dumps(was).decode()
    await tx.append(NewEvent("drain", change, str(drain.id), actor, body, before=before))


async def conclude(tx: Transaction, drain: Drain, found: Sequence[Move]) -> Drain:
    """The plan, ended in this transaction if no move is left; the caller holds its row. Raises DrainMoved."""
    after = drains.concluded(drain, found, await tx.now())
    if after is drain:
        return drain
    if not await tx.save_drain(after, drain):
        raise DrainMoved(drain.id)
    await tell_of_drain(
        tx, after, after.state.value.lower(), Actor(f"drain:{drain.id}"), was={"state": drain.state.value}
    )
    return after


async def detail(tx: Transaction, drain: Drain, found: Sequence[Move]) -> DrainDetail:
    """The plan with these moves."""
    [view] = await _views(tx, [drain])
    return drain_detail(view, found)


async def _views(tx: Transaction, found: Sequence[Drain]) -> Sequence[DrainView]:
    ids = [drain.id for drain in found]
    counts, failures = await tx.move_counts(ids), await tx.failed_moves(ids, _FAILURES)
    names = {node.id: node.name for node in await tx.nodes()}
    return [
        drain_view(
            drain,
            names.get(drain.node_id, str(drain.node_id)),
            counts.get(drain.id, {}),
            [move for move in failures if move.drain_id == drain.id],
        )
        for drain in found
    ]


async def _insert(tx: Transaction, order: StartDrain, scene: _Scene, kind: DrainKind, actor: Actor) -> Drain:
    draft = Drain(
        id=0,
        node_id=scene.node.id,
        kind=kind,
        state=DrainState.RUNNING,
        max_parallel=order.max_parallel,
        partial=order.partial,
        was_enabled=scene.node.enabled,
        actor=actor.name,
        created_at=scene.now,
        updated_at=scene.now,
    )
    drain = await tx.insert_drain(draft)
    if drain is None:
        raise DrainLive(order.node, None)
    return drain


async def _insert_move(tx: Transaction, drain: Drain, app_id: str, reasons: Sequence[str]) -> Move:
    """The target is chosen when the move begins; one that had none from the start stays out."""
    move = Move(drain.id, app_id, MoveState.PENDING, drain.created_at)
    if reasons:
        why = "; ".join(reasons)
        move = drains.changed(move, MoveState.SKIPPED, drain.created_at, f"it had no place to go: {why}")
    await tx.insert_move(move)
    return move


async def _locked(tx: Transaction, drain_id: int) -> Drain:
    drain = await tx.drain(drain_id, lock=True)
    if drain is None:
        raise DrainNotFound(drain_id)
    return drain


async def _drop(tx: Transaction, drain: Drain, why: str, now: int) -> None:
    """Skip moves that have not begun, but for those that a user's own deployment is carrying out just now."""
    found = await tx.moves(drain.id)
    running = await tx.running_of({move.app_id for move in found if move.state is MoveState.PENDING})
    for move in found:
        job = running.get(move.app_id)
        if job is not None and moves.route_of(job) is not None and move.state is MoveState.PENDING:
            continue
        after = drains.dropped(move, why, now)
        if after is not move:
            await tx.save_move(after)


async def _call_back(tx: Transaction, drain: Drain, now: int, actor: Actor) -> None:
    """Cancel the jobs of moves that are under way, except those that are going live."""
    for move in await tx.moves(drain.id):
        if move.state is not MoveState.MOVING or move.job_id is None:
            continue
        await tx.lock_app(move.app_id)
        job = await tx.job(move.job_id, lock=True)
        if job is None or job.status.terminal:
            continue
        try:
            await write_job(tx, jobs.cancel(job, now), job, "cancelled", actor)
        except TooLate:
            continue
