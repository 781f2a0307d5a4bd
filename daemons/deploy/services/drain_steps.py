"""Carries plans on, a step a second: looks what became of each move's job, then orders the next ones.

Each step is a few short transactions that hold the plan's row; a replica that finds it held passes it by. Nothing is
kept in memory between them, so a plan goes on wherever the last process left it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from daemons.deploy.domain import drains, moves, succession
from daemons.deploy.domain.capacity import Targets, explanation, forecast
from daemons.deploy.domain.drains import Drain, Move, Resident
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.moves import Order, Route
from daemons.deploy.domain.nodes import AppRun, NodePolicy, Placement, RuntimeNode, fresh
from daemons.deploy.domain.placement import obstacle_to_new_app
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.drains import conclude, tell_of_drain
from daemons.deploy.services.journal import place, tell_of_job
from daemons.deploy.services.leftovers import Leftovers
from daemons.deploy.services.residents import Holders, residents, unseen
from protocol.drains import DrainKind, DrainState, MoveState
from protocol.jobs import HIGHEST_PRIORITY, JobStatus

#: So many moves are looked at for a beginning in one step.
_TRIED: Final = 16
_UNDER_WAY: Final = (MoveState.MOVING, MoveState.RETURNING)


@dataclass(frozen=True, slots=True)
class _Where:
    """Where the plan's apps are said to live and to run, their active jobs, and the nodes."""

    placements: Mapping[str, Placement]
    runs: Mapping[str, AppRun]
    running: Mapping[str, Job]
    pending: Mapping[str, Job]
    nodes: Sequence[RuntimeNode]
    now: int

    def lives_on(self, app_id: str) -> int | None:
        """The node of its placement."""
        placement = self.placements.get(app_id)
        return placement.node_id if placement else None

    def is_on(self, app_id: str, node_id: int) -> bool:
        """Whether it is placed on the node or runs there."""
        run = self.runs.get(app_id)
        runs_here = run is not None and run.node_id == node_id and not drains.halted(run)
        return self.lives_on(app_id) == node_id or (runs_here and run is not None and run.last_deployed_at is not None)

    def busy_with(self, app_id: str) -> Job | None:
        """Its active job."""
        return self.running.get(app_id) or self.pending.get(app_id)


class DrainSteps:
    """`step` is the loop's body."""

    def __init__(self, store: Store, bells: Bells, holders: Holders, leftovers: Leftovers, policy: NodePolicy) -> None:
        self._store = store
        self._bells = bells
        self._holders = holders
        self._leftovers = leftovers
        self._policy = policy

    async def step(self) -> None:
        """Carry every live plan on."""
        for drain in await self._store.transact(lambda tx: tx.live_drains()):
            for app_id in await self._look(drain.id):
                await self._begin(drain.id, app_id)

    async def _look(self, drain_id: int) -> Sequence[str]:
        return await self._store.transact(lambda tx: self._observe(tx, drain_id))

    async def _observe(self, tx: Transaction, drain_id: int) -> Sequence[str]:
        """What became of the moves; apps whose move may begin now."""
        drain = await tx.free_drain(drain_id)
        if drain is None or not drain.state.live:
            return ()
        found = list(await tx.moves(drain_id))
        where = await _where(tx, found)
        for index, move in enumerate(found):
            found[index] = await self._looked_at(tx, drain, move, where)
        if (await conclude(tx, drain, found)).state.live:
            startable, free = drains.startable(drain, found)
            ready = [move for move in startable if where.busy_with(move.app_id) is None]
            # Those that found no node the last time stand behind the others, so that they hold nobody up.
            ready.sort(key=lambda move: move.message is not None)
            return [move.app_id for move in ready[:_TRIED]] if free else ()
        self._bells.changed()
        return ()

    async def _looked_at(self, tx: Transaction, drain: Drain, move: Move, where: _Where) -> Move:
        if move.state in _UNDER_WAY and move.job_id is not None:
            return await self._under_way(tx, drain, move, where)
        if move.state is MoveState.PENDING:
            return await self._not_begun(tx, drain, move, where)
        if move.state is MoveState.MOVED and drain.state is DrainState.UNDOING:
            return await self._to_return(tx, drain, move, where)
        return move

    async def _under_way(self, tx: Transaction, drain: Drain, move: Move, where: _Where) -> Move:
        job = await tx.job(move.job_id or "")
        route = _route(drain, move)
        after = drains.observed(move, job, arrived=where.lives_on(move.app_id) == route.target, now=where.now)
        if after is move:
            return await self._still_fits(tx, drain, move, job, where)
        there = job.status is JobStatus.SUCCEEDED if job else where.lives_on(move.app_id) == route.target
        left = [route.source if there else route.target]
        run = where.runs.get(move.app_id)
        if there and run is not None and drains.halted(run):
            left.append(route.target)
        for node_id in left:
            await self._leftovers.clear(tx, drain, move.app_id, node_id)
        return await self._write(tx, drain, move, after)

    async def _still_fits(self, tx: Transaction, drain: Drain, move: Move, job: Job | None, where: _Where) -> Move:
        """A move that no runner has begun goes elsewhere when its target does not take it any more."""
        if job is None or job.status is not JobStatus.PENDING or move.state is not MoveState.MOVING:
            return move
        target = moves.target_of(job, where.nodes)
        if target is not None and obstacle_to_new_app(target, self._policy, where.now) is None:
            return move
        await tx.lock_app(move.app_id)
        current = await tx.job(job.id, lock=True)
        if current is None or current.status is not JobStatus.PENDING:
            return move
        [app] = await residents(tx, [move.app_id])
        other = await self._target(tx, drain, move, app, where, held={})
        if isinstance(other, str):
            return move
        if current.attempt:
            await self._leftovers.clear(tx, drain, move.app_id, move.target_id)
        after = moves.turned(current, other.id, where.now)
        if not await tx.save_job(after, current):
            return move
        await tell_of_job(tx, after, other, "retargeted", _actor(drain), current)
        why = f"its target took no new app any more; it goes to {other.name} instead"
        return await self._write(tx, drain, move, replace(drains.waiting(move, why), target_id=other.id))

    async def _not_begun(self, tx: Transaction, drain: Drain, move: Move, where: _Where) -> Move:
        app_id, busy = move.app_id, where.busy_with(move.app_id)
        if not where.is_on(app_id, drain.node_id):
            return await self._gone(tx, drain, move, where)
        if drain.kind is DrainKind.FAILOVER and self._is_back(drain, where):
            why = "its node is back, and the app with it"
            return await self._write(tx, drain, move, drains.changed(move, MoveState.SKIPPED, where.now, why))
        if busy is not None:
            return await _wait(tx, move, f"the app is busy with job {busy.id}, which is {busy.status.value}")
        if drain.state is DrainState.UNDOING:
            why = "the drain was undone before it began"
            return await self._write(tx, drain, move, drains.changed(move, MoveState.SKIPPED, where.now, why))
        return move

    async def _gone(self, tx: Transaction, drain: Drain, move: Move, where: _Where) -> Move:
        """The app is not on the node any more: a user's deployment took it elsewhere, or it was deleted."""
        home = where.lives_on(move.app_id)
        if home is None:
            after = drains.changed(move, MoveState.SKIPPED, where.now, "the app was deleted")
            return await self._write(tx, drain, move, after)
        await self._leftovers.clear(tx, drain, move.app_id, drain.node_id)
        after = drains.changed(move, MoveState.MOVED, where.now, "a deployment of the app took it there")
        return await self._write(tx, drain, move, replace(after, target_id=home))

    async def _to_return(self, tx: Transaction, drain: Drain, move: Move, where: _Where) -> Move:
        home, busy = where.lives_on(move.app_id), where.busy_with(move.app_id)
        if home == drain.node_id:
            return await self._write(tx, drain, move, drains.changed(move, MoveState.UNDONE, where.now))
        if home is None or home != move.target_id:
            why = "the app was deleted" if home is None else "the app was taken elsewhere since; it was left there"
            return await self._write(tx, drain, move, drains.changed(move, MoveState.SKIPPED, where.now, why))
        if busy is not None:
            return await _wait(tx, move, f"the app is busy with job {busy.id}, which is {busy.status.value}")
        return move

    async def _begin(self, drain_id: int, app_id: str) -> None:
        async def look(tx: Transaction) -> tuple[Resident, Sequence[RuntimeNode], int]:
            [app] = await residents(tx, [app_id])
            return app, await tx.nodes(), await tx.now()

        held = await self._holders.of(*_alone(await self._store.transact(look)))
        if await self._store.transact(lambda tx: self._order(tx, drain_id, app_id, held)):
            self._bells.changed()

    async def _order(self, tx: Transaction, drain_id: int, app_id: str, held: Mapping[str, frozenset[int]]) -> bool:
        """Whether anything was written."""
        drain = await tx.free_drain(drain_id)
        if drain is None or not drain.state.live:
            return False
        found = await tx.moves(drain_id)
        startable, free = drains.startable(drain, found)
        move = next((each for each in startable if each.app_id == app_id), None)
        if move is None or not free:
            return False
        await tx.lock_app(app_id)
        if await tx.active_jobs(app_id):
            return False
        where = await _where(tx, found)
        [app] = await residents(tx, [app_id])
        stuck = drains.stuck(drain, found, where.now)
        if drain.state is DrainState.UNDOING:
            target = self._way_back(drain, where)
        else:
            target = await self._target(tx, drain, move, app, where, held)
        if isinstance(target, str):
            return await self._without_target(tx, drain, move, target, where, stuck=stuck or app.unknown)
        return await self._set_out(tx, drain, move, app, target, where)

    async def _set_out(
        self, tx: Transaction, drain: Drain, move: Move, app: Resident, target: RuntimeNode, where: _Where
    ) -> bool:
        """Order the job that moves the app; of an app that does not run, only the placement moves."""
        back = drain.state is DrainState.UNDOING
        if app.cargo is None:
            since = where.placements[move.app_id].created_at if move.app_id in where.placements else 0
            reasons = moves.moved_without_a_job(drain.id, target, app.note)
            await place(tx, Placement(move.app_id, target.id, where.now, since, reasons), _actor(drain))
            state = MoveState.UNDONE if back else MoveState.MOVED
            after = drains.changed(move, state, where.now, app.note)
            await self._write(tx, drain, move, after if back else replace(after, target_id=target.id))
            return True
        route = Route(move.target_id if back else drain.node_id, target.id)
        job = moves.migrate(str(uuid4()), app.cargo, route, _urgency(drain), where.now)
        job = succession.after(job, await tx.newest_created(move.app_id))
        await self._leftovers.expect(tx, drain, move.app_id, target.id)
        if not await tx.insert_job(job):
            return False
        await tell_of_job(tx, job, target, "created", _actor(drain), None)
        after = drains.changed(move, MoveState.RETURNING if back else MoveState.MOVING, where.now)
        target_id = move.target_id if back else target.id
        await self._write(
            tx, drain, move, replace(after, job_id=job.id, target_id=target_id, attempts=move.attempts + 1)
        )
        return True

    async def _without_target(
        self, tx: Transaction, drain: Drain, move: Move, why: str, where: _Where, *, stuck: bool
    ) -> bool:
        if stuck:
            await self._write(tx, drain, move, drains.changed(move, MoveState.FAILED, where.now, why))
            return True
        await _wait(tx, move, f"no node can take it now: {why}")
        return False

    async def _target(
        self,
        tx: Transaction,
        drain: Drain,
        move: Move,
        app: Resident,
        where: _Where,
        held: Mapping[str, frozenset[int]],
    ) -> RuntimeNode | str:
        """Where the app may go now, or why nowhere. A node where it failed is the last choice."""
        others = [node for node in where.nodes if node.id != drain.node_id]
        coming = await unseen(tx, others, self._policy)
        for other in await tx.moves(drain.id):
            if other.state is MoveState.MOVING and other.target_id is not None and other.app_id != move.app_id:
                coming[other.target_id] = coming.get(other.target_id, 0) + 1
        why = ""
        for nodes in ([node for node in others if node.id not in move.tried], others):
            outlook = forecast([app], Targets(nodes, coming, held, self._policy, where.now))
            target = outlook.moves[0].target
            if target is not None:
                return target
            why = explanation(outlook)
        return why

    def _way_back(self, drain: Drain, where: _Where) -> RuntimeNode | str:
        home = next((node for node in where.nodes if node.id == drain.node_id), None)
        if home is None:
            return "its node is not registered any more"
        obstacle = moves.obstacle_to_move(home, self._policy, where.now)
        return home if obstacle is None else str(obstacle)

    def _is_back(self, drain: Drain, where: _Where) -> bool:
        home = next((node for node in where.nodes if node.id == drain.node_id), None)
        return home is not None and fresh(home, self._policy, where.now)

    async def _write(self, tx: Transaction, drain: Drain, move: Move, after: Move) -> Move:
        await tx.save_move(after)
        change = f"app {move.app_id} {after.state.value.lower()}"
        was = {"moves": [{"appId": move.app_id, "state": move.state.value}]}
        await tell_of_drain(tx, drain, change, _actor(drain), [after], was)
        return after


def _alone(seen: tuple[Resident, Sequence[RuntimeNode], int]) -> tuple[Sequence[Resident], Sequence[RuntimeNode], int]:
    app, nodes, now = seen
    return [app], nodes, now


def _urgency(drain: Drain) -> Order:
    """An app that serves nowhere goes before everything else."""
    return Order(drain.id, HIGHEST_PRIORITY if drain.kind is DrainKind.FAILOVER else 0)


def _actor(drain: Drain) -> Actor:
    return Actor(f"drain:{drain.id}")


def _route(drain: Drain, move: Move) -> Route:
    """Of a move that is under way; its target is where it went first."""
    away = move.target_id or 0
    return Route(drain.node_id, away) if move.state is MoveState.MOVING else Route(away, drain.node_id)


async def _wait(tx: Transaction, move: Move, why: str) -> Move:
    after = drains.waiting(move, why)
    if after != move:
        await tx.save_move(after)
    return after


async def _where(tx: Transaction, found: Sequence[Move]) -> _Where:
    app_ids = {move.app_id for move in found}
    return _Where(
        placements=await tx.placements_of(app_ids),
        runs=await tx.app_runs_of(app_ids),
        running=await tx.running_of(app_ids),
        pending=await tx.pending_of(app_ids),
        nodes=await tx.nodes(),
        now=await tx.now(),
    )
