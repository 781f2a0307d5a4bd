"""Jobs with what surrounds them: the node an app lives on, and why a pending job waits. Reading never writes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain import views
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.domain.waiting import Surroundings, explain
from daemons.deploy.ports import NodeRows, Store, Transaction
from protocol.events import Snapshot
from protocol.jobs import JobStatus, JobView, WaitingFor

_JOBS = 500
_ROWS = 5000
_ONE_BY_ONE: Final = 4


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the labels of nodes and runners depend on, and how long a job waits for the runner that built its app."""

    policy: NodePolicy
    runner_stale_ms: int
    warm_ms: int = 0


class Reader:
    """Views of jobs and the snapshot of everything."""

    def __init__(self, store: Store, thresholds: Thresholds) -> None:
        self._store = store
        self._thresholds = thresholds

    async def views(self, jobs: Sequence[Job]) -> tuple[JobView, ...]:
        """The jobs as readers see them."""

        async def work(tx: Transaction) -> tuple[JobView, ...]:
            return await self._views(tx, jobs)

        return await self._store.transact(work) if jobs else ()

    async def view(self, job: Job) -> JobView:
        """One job as readers see it."""
        return (await self.views([job]))[0]

    async def active_jobs(self) -> Mapping[str, int]:
        """How many jobs are PENDING and how many RUNNING."""

        async def work(tx: Transaction) -> Mapping[str, int]:
            return await tx.count_jobs()

        return await self._store.transact(work)

    async def snapshot(self, seq: int) -> Snapshot:
        """Everything a console shows. `seq` must have been read before: it is what the snapshot is at least as new
        as."""

        async def work(tx: Transaction) -> Snapshot:
            now, policy, stale_ms = await tx.now(), self._thresholds.policy, self._thresholds.runner_stale_ms
            counts, newest = await tx.count_placements(), await tx.newest_jobs(_JOBS + 1)
            return Snapshot(
                seq=seq,
                at=views.when(now),
                jobs=await self._views(tx, newest[:_JOBS]),
                more=len(newest) > _JOBS,
                nodes=tuple(views.node_view(node, policy, now, counts.get(node.id, 0)) for node in await tx.nodes()),
                runners=tuple(views.runner_view(runner, stale_ms, now) for runner in await tx.runners()),
                placements=tuple(map(views.placement_view, await tx.all_placements(_ROWS))),
                apps=tuple(map(views.app_run_view, await tx.app_runs(_ROWS))),
            )

        return await self._store.transact(work)

    async def _views(self, tx: Transaction, jobs: Sequence[Job]) -> tuple[JobView, ...]:
        app_ids = {job.app_id for job in jobs}
        placements = await tx.placements_of(app_ids)
        nodes = await _nodes_of(tx, {placement.node_id for placement in placements.values()})
        homes = {app_id: nodes.get(placement.node_id) for app_id, placement in placements.items()}
        pending = [job for job in jobs if job.status is JobStatus.PENDING]
        waits = await explained(tx, pending, await look(tx, self._thresholds)) if pending else {}
        return tuple(views.job_view(job, homes.get(job.app_id), waits.get(job.id)) for job in jobs)


async def _nodes_of(tx: NodeRows, node_ids: Collection[int]) -> Mapping[int, RuntimeNode]:
    """These nodes, by id. A few are read one by one: one job's answer must not cost a look at a thousand nodes."""
    if len(node_ids) > _ONE_BY_ONE:
        return {node.id: node for node in await tx.nodes_lately()}
    found = [await tx.node(node_id) for node_id in node_ids]
    return {node.id: node for node in found if node is not None}


async def look(tx: Transaction, thresholds: Thresholds) -> Surroundings:
    """What pending jobs may be waiting for now."""
    counts = await tx.count_jobs()
    return Surroundings(
        now=await tx.now(),
        nodes=await tx.nodes_lately(),
        runners=await tx.runners_lately(),
        pending=counts.get(JobStatus.PENDING.value, 0),
        policy=thresholds.policy,
        runner_stale_ms=thresholds.runner_stale_ms,
        warm_ms=thresholds.warm_ms,
    )


async def explained(tx: Transaction, pending: Sequence[Job], around: Surroundings) -> Mapping[str, WaitingFor]:
    """Why each of these PENDING jobs waits, by its id."""
    app_ids = {job.app_id for job in pending}
    running, placements = await tx.running_of(app_ids), await tx.placements_of(app_ids)
    draining = await tx.draining_nodes()
    tied = {app_id for app_id in app_ids & placements.keys() if placements[app_id].node_id not in draining}
    pasts = await tx.pasts_of(app_ids)
    settled = {app_id for app_id in tied if app_id in pasts and pasts[app_id].settled}
    here = replace(around, settled=settled, pasts=pasts, held=await tx.held_slots())
    return {job.id: explain(job, running.get(job.app_id), placements.get(job.app_id), here) for job in pending}
