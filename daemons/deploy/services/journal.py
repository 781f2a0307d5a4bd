"""Writes changes together with the events that tell of them, in one transaction."""

from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from daemons.deploy.domain import drains, late_logs, logs, moves, webhooks
from daemons.deploy.domain.events import CONTROL_PLANE, Actor, NewEvent
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.operations import Operation, Request, asked, shown
from daemons.deploy.domain.releases import may_have_pushed
from daemons.deploy.domain.views import app_run_view, job_changes, job_view, node_view, operation_view, placement_view
from daemons.deploy.ports import EventRows, LogRows, NodeRows, PlacementRows, StoreUnavailable, Transaction
from daemons.deploy.services.releases import record_release
from protocol.base import Wire
from protocol.jobs import JobStatus, JobType
from protocol.operations import OperationKind


class RowMoved(StoreUnavailable):
    """Somebody else wrote the row first although it was locked; nothing was changed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} was changed at the same moment; try again")


class Homes(PlacementRows, NodeRows, Protocol):
    """What finding an app's node takes."""


async def node_of(rows: Homes, app_id: str) -> RuntimeNode | None:
    """The node the app lives on."""
    placement = await rows.placement(app_id)
    return await rows.node(placement.node_id) if placement else None


async def node_for(rows: Homes, job: Job) -> RuntimeNode | None:
    """The node that a job is for: where its app lives, or where the job is to bring it."""
    route = moves.route_of(job)
    return await rows.node(route.target) if route else await node_of(rows, job.app_id)


async def write_job(tx: Transaction, job: Job, was: Job, change: str | None, actor: Actor) -> Job:
    """Save the job and tell of it; an ended attempt also becomes the app's last known state, and a success
    its newest release, and what the webhook is told. Raises RowMoved."""
    if job is was:
        return job
    if not await tx.save_job(job, was):
        raise RowMoved(job.id)
    job = await _mark_interruption(tx, job, was)
    if job.status.terminal and job.attempt > 0:
        await _record_end(tx, job, was, actor)
    if change is not None:
        node = await node_of(tx, job.app_id)
        await tell_of_job(tx, job, node, change, actor, was)
        if tx.delivers and job.status.terminal and not was.status.terminal:
            await tx.insert_delivery(webhooks.ended(job, node))
    return job


async def _record_end(tx: Transaction, job: Job, was: Job, actor: Actor) -> None:
    succeeded, move = job.status is JobStatus.SUCCEEDED, job.type is JobType.MIGRATE_APP
    if succeeded:
        await _move(tx, job, actor)
    node_id = await _record_run(tx, job)
    if succeeded and was.status is not JobStatus.SUCCEEDED and not move:
        await record_release(tx, job, node_id)
    elif not succeeded and may_have_pushed(job):
        await tx.ask_review(job.app_id, None, job.updated_at)


async def _mark_interruption(tx: LogRows, job: Job, was: Job) -> Job:
    after, line = logs.interrupted(was, job)
    if line:
        await tx.append_log(job.id, job.log_length, line)
        part = late_logs.part_of(was, job.updated_at, gap=True)
        if part is not None:
            await tx.put_log_part(part)
    if after.log_gaps != was.log_gaps or line:
        await tx.save_log(after)
    return after


async def tell_of_job(
    tx: EventRows, job: Job, node: RuntimeNode | None, change: str, actor: Actor, was: Job | None
) -> None:
    """Append the event of a job that was written in this transaction; `node` is the one its app lives on, `was` the job
    before, None for a new one."""
    await tx.append(event_of_job(job, node, change, actor, was))


def event_of_job(job: Job, node: RuntimeNode | None, change: str, actor: Actor, was: Job | None) -> NewEvent:
    """The event of a job; `node` is the one its app lives on, `was` the job before, None for a new one."""
    body = job_view(job, node).to_json().decode()
    return NewEvent("job", change, job.id, actor, body, before=_json(job_changes(job, was) if was else None))


async def place(tx: Transaction, placement: Placement, actor: Actor) -> None:
    """Write a placement and tell of it."""
    was = await tx.placement(placement.app_id)
    await tx.put_placement(placement)
    await tx.append(event_of_placement(placement, was, actor))


def event_of_placement(placement: Placement, was: Placement | None, actor: Actor) -> NewEvent:
    """The event of an app that was placed, or moved from where it `was`."""
    before = _view(placement_view(was) if was else None)
    body = placement_view(placement).to_json().decode()
    return NewEvent("placement", "placed", placement.app_id, actor, body, before=before)


async def displace(tx: Transaction, app_id: str, actor: Actor) -> bool:
    """Delete a placement and tell of it; whether there was one."""
    was = await tx.placement(app_id)
    if was is None or not await tx.delete_placement(app_id):
        return False
    before = _view(placement_view(was))
    await tx.append(NewEvent("placement", "removed", app_id, actor, _json(None), before=before))
    return True


async def tell_of_node(
    tx: EventRows, change: "NodeChange", policy: NodePolicy, now: int, actor: Actor, placements: int
) -> None:
    """Append the event of a node whose row was written in this transaction."""
    body = node_view(change.node, policy, now, placements).to_json().decode()
    before = _view(node_view(change.was, policy, now, placements) if change.was else None)
    await tx.append(NewEvent("node", change.name, str(change.node.id), actor, body, before=before))


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What happened to a node; `was` is None for a new one."""

    name: str
    node: RuntimeNode
    was: RuntimeNode | None


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def _view(view: Wire | None) -> str:
    return view.to_json().decode() if view else _json(None)


async def _move(tx: Transaction, job: Job, actor: Actor) -> None:
    """The app lives where a job with a route has just brought it."""
    route = moves.route_of(job)
    placement = await tx.placement(job.app_id)
    if route is not None and (placement is None or placement.node_id != route.target):
        since = placement.created_at if placement else 0
        names = {node.id: node.name for node in await tx.nodes_of({route.target, route.source or route.target})}
        came_from = "nowhere" if route.source is None else names.get(route.source, f"node {route.source}")
        reasons = moves.reasons_of(job, came_from, names.get(route.target, f"node {route.target}"))
        await place(tx, Placement(job.app_id, route.target, await tx.now(), since, reasons), actor)


async def _record_run(tx: Transaction, job: Job) -> int | None:
    """The node that the app is on."""
    before = await tx.app_run(job.app_id) or AppRun(job.app_id)
    if job.type is JobType.MIGRATE_APP and (job.status is not JobStatus.SUCCEEDED or drains.halted(before)):
        # A move that failed leaves the app as it was; one that came after a stop does not start it.
        if job.status is JobStatus.SUCCEEDED and (route := moves.route_of(job)):
            await tx.put_app_run(replace(before, node_id=route.target))
        return before.node_id
    placement = await tx.placement(job.app_id)
    succeeded = job.status is JobStatus.SUCCEEDED
    node_id = _node_now(before, placement, succeeded=succeeded)
    await tx.put_app_run(
        AppRun(
            app_id=job.app_id,
            node_id=node_id,
            last_job_id=job.id,
            last_job_status=job.status.value,
            last_error=job.error_message,
            last_deployed_at=job.finished_at if succeeded else before.last_deployed_at,
            last_active_at=job.finished_at,
            built_by=job.runner_id if succeeded and "image" not in job.payload else before.built_by,
        )
    )
    if succeeded and job.type is not JobType.MIGRATE_APP and before.node_id not in (None, node_id):
        await _leave_behind(tx, job, before)
    return node_id


async def _leave_behind(tx: Transaction, job: Job, before: AppRun) -> None:
    """The app came up on another node than it was on: have the copy that it left stopped, whenever that node can.

    Plans that move apps see to that themselves.
    """
    node = await tx.node(before.node_id) if before.node_id is not None else None
    pending = await tx.pending_operations(job.app_id)
    if node is None or before.last_job_status == "STOPPED" or any(each.node_id == node.id for each in pending):
        return
    request = Request(OperationKind.STOP, job.app_id, job.user_id, node.id, f"job:{job.id}", CONTROL_PLANE)
    operation = asked(request, await tx.next_fence(job.app_id), None, await tx.now())
    await tell_of_operation(tx, await tx.insert_operation(operation), "asked", CONTROL_PLANE, None)


def _node_now(before: AppRun, placement: Placement | None, *, succeeded: bool) -> int | None:
    """Where the app is: a failure after a move leaves it on the node where it came up last."""
    if placement is None or (before.last_deployed_at is not None and not succeeded):
        return before.node_id
    return placement.node_id


async def forget_app(tx: Transaction, app_id: str, actor: Actor) -> tuple[int, int, int]:
    """Delete the app's ended jobs, last state and placement, and tell of it; how many rows of each. The keys that made
    its jobs are free again."""
    jobs = await tx.delete_jobs(app_id)
    await tx.forget_keys_of(app_id)
    await tx.delete_releases(app_id)
    run = await tx.app_run(app_id)
    runs = int(await tx.delete_app_run(app_id))
    placements = int(await displace(tx, app_id, actor))
    before = _view(app_run_view(run) if run else None)
    await tx.append(NewEvent("app", "purged", app_id, actor, _json(None), before=before))
    return jobs, runs, placements


async def tell_of_operation(
    tx: Transaction, operation: Operation, change: str, actor: Actor, was: Operation | None
) -> None:
    """Append the event of an operation that was written in this transaction; the app's last known state says the
    same. `was` is None for a new one."""
    now = await tx.now()
    body, before = operation_view(operation, now).to_json().decode(), _view(operation_view(was, now) if was else None)
    await tx.append(NewEvent("operation", change, str(operation.id), actor, body, before=before))
    await show_operation(tx, operation, actor)


async def show_operation(tx: Transaction, operation: Operation, actor: Actor) -> None:
    """Let the app's last known state say how the operation stands; telling of it is for what changes in kind."""
    before = await tx.app_run(operation.app_id)
    run = shown(operation, before)
    if run is None or before is None or run == before:
        return
    run = replace(run, last_active_at=await tx.now())
    await tx.put_app_run(run)
    if run.last_job_status != before.last_job_status:
        change = (run.last_job_status or "").lower()
        body, was = _view(app_run_view(run)), _view(app_run_view(before))
        await tx.append(NewEvent("app", change, run.app_id, actor, body, before=was))
