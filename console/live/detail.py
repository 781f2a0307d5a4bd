"""What is known of the selected object in a few lines of words, so that a narrow table hides nothing. Pure."""

from datetime import datetime
from typing import assert_never

from console.live.cells import seconds_between, size, span
from console.live.model import Model
from console.live.plain import line
from console.live.select import View, held_by, lease_text, short, since, spent, why
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView

Lines = tuple[str, ...]


def detail(view: View, model: Model, key: str, now: datetime) -> Lines:
    """Two to four lines about the object `key`; empty when it is unknown."""
    match view:
        case View.JOBS:
            job = model.jobs.get(key)
            return _job(job, now) if job else ()
        case View.NODES:
            node = model.nodes.get(int(key))
            return _node(node, now) if node else ()
        case View.PLACEMENTS:
            placement = model.placements.get(key)
            return _placement(model, placement, now) if placement else ()
        case View.RUNNERS:
            runner = model.runners.get(key)
            return _runner(model, runner, now) if runner else ()
        case _:
            assert_never(view)


def _job(job: JobView, now: datetime) -> Lines:
    payload = job.payload
    what = payload.image or f"{payload.git_ref or 'default branch'} of {payload.repo_ssh_url or 'no repository'}"
    ran = f", {'ran' if job.status.terminal else 'running for'} {span(spent(job, now))}" if job.started_at else ""
    times = f"created {span(seconds_between(now, job.created_at))} ago{ran}"
    attempt = f"attempt {job.attempt}" if job.attempt else "not started"
    lease = f", {lease_text(job, now).text}" if job.lease_expire_at else ""
    runner = f" on {job.runner_id}" if job.runner_id else ""
    return (
        line(f"job {job.id} · app {job.app_id} · user {job.user_id} · {attempt}"),
        line(f"{times}{runner}{lease}"),
        line(f"{what}{f' · commit {job.commit[:12]}' if job.commit else ''}"),
        line(why(job) or job.status.value),
    )


def _node(node: NodeView, now: datetime) -> Lines:
    beat = span(seconds_between(now, node.last_heartbeat_at))
    inodes = "" if node.inodes_free_pct is None else f" · inodes {node.inodes_free_pct:.0f} % free{_counted(node)}"
    labels = f" · labels {', '.join(node.labels)}" if node.labels else ""
    state = "takes deployments" if node.enabled else "cordoned: takes no new deployment"
    return (
        line(f"node {node.name} · {state} · weight {node.weight} · agent {node.agent_base_url or 'unknown'}{labels}"),
        line(
            f"{size(node.disk_free_bytes)} of {size(node.disk_total_bytes)} free{inodes} · "
            f"{node.container_count if node.container_count is not None else '?'} containers · "
            f"{node.placements} apps placed · heard {beat} ago{_vitals(node, now)}"
        ),
        line(
            "; ".join((*(node.reasons or _told(node)), *_problems(node))) or "nothing speaks against placing apps here"
        ),
    )


def _vitals(node: NodeView, now: datetime) -> str:
    """What the node says of itself, as far as it does."""
    vitals = node.vitals
    if vitals is None:
        return ""
    load = f" · load {vitals.load1:.1f} on {vitals.cpus or '?'} CPUs" if vitals.load1 is not None else ""
    made = vitals.collection
    freed = f" · freed {size(made.freed_bytes)} {span(seconds_between(now, made.at))} ago" if made is not None else ""
    return f"{load}{freed}"


def _problems(node: NodeView) -> tuple[str, ...]:
    found = node.vitals
    if found is None:
        return ()
    parts = (("engine", found.engine_problem), ("gateway", found.gateway_problem))
    said = [f"{part}: {problem}" for part, problem in parts if problem]
    said += [f"app {app.app_id} {app.health.value}: {app.reason}" for app in found.unwell]
    left = (found.unwell_total or 0) - len(found.unwell)
    return (*said, f"{left} more apps are unwell") if left > 0 else tuple(said)


def _told(node: NodeView) -> tuple[str, ...]:
    return tuple(each.message for each in node.explanations)


def _counted(node: NodeView) -> str:
    if node.inodes_total is None or node.inodes_free is None:
        return ""
    return f" ({node.inodes_total - node.inodes_free:,} of {node.inodes_total:,} used)"


def _placement(model: Model, placement: PlacementView, now: datetime) -> Lines:
    node = model.nodes.get(placement.node_id)
    run = model.apps.get(placement.app_id)
    age = span(seconds_between(now, since(placement.last_active_at)))
    where = f"{node.name} ({node.health.value})" if node else f"node {placement.node_id}"
    last = f"last job {short(run.last_job_id)} {run.last_job_status or ''}" if run and run.last_job_id else ""
    return (
        line(f"app {placement.app_id} · on {where} · last active {age} ago"),
        line(last),
        line("; ".join(filter(None, (run.last_error if run else None, *(each.message for each in placement.reasons))))),
    )


def _runner(model: Model, runner: RunnerView, now: datetime) -> Lines:
    held = held_by(model, runner.runner_id)
    seen = span(seconds_between(now, since(runner.last_seen_at_ms)))
    jobs = " · ".join(
        f"job {short(job.id)} of app {job.app_id} {job.payload.phase or ''}, {lease_text(job, now).text}"
        for job in held
    )
    return (
        line(
            f"runner {runner.runner_id} · {runner.host or 'unknown host'} · version {runner.version or 'unknown'} · "
            f"{len(held)} of {runner.slots or '?'} slots in use · heard {seen} ago"
        ),
        line(jobs or "runs nothing now"),
        line(_self_report(runner)),
    )


def _self_report(runner: RunnerView) -> str:
    """What the runner's process tells of itself."""
    vitals = runner.vitals
    if vitals is None:
        return ""
    pause = f"takes no work: {vitals.pause.message} · " if vitals.pause else ""
    disks = " · ".join(
        f"{disk.place} {size(disk.free_bytes)} of {size(disk.total_bytes)} free" for disk in vitals.disks
    )
    return f"{pause}process {vitals.instance_id}, up {span(vitals.up_seconds)} · {disks}".removesuffix(" · ")
