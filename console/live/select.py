"""Views of the model: which rows a table shows, in which order, in which words. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from console.live.cells import Cell, Column, Row, Tone, cell, disk_bar, disk_tone, seconds_between, size, span
from console.live.model import Model
from console.live.plain import line
from protocol.jobs import JobStatus, JobView
from protocol.nodes import NodeHealth, NodeView, PlacementView, RunnerHealth, RunnerView

_SHORT: Final = 8


class View(StrEnum):
    """The four tables, in the order of their keys."""

    JOBS = "jobs"
    NODES = "nodes"
    PLACEMENTS = "placements"
    RUNNERS = "runners"


_STATUS: Final[Mapping[JobStatus, tuple[str, Tone]]] = {
    JobStatus.PENDING: ("○", Tone.WARN),
    JobStatus.RUNNING: ("▶", Tone.BUSY),
    JobStatus.SUCCEEDED: ("✓", Tone.GOOD),
    JobStatus.FAILED: ("✗", Tone.BAD),
    JobStatus.CANCELLED: ("–", Tone.QUIET),
}
_HEALTH: Final[Mapping[NodeHealth, tuple[str, Tone]]] = {
    NodeHealth.HEALTHY: ("✓", Tone.GOOD),
    NodeHealth.DRAINING: ("!", Tone.WARN),
    NodeHealth.UNHEALTHY: ("✗", Tone.BAD),
    NodeHealth.STALE: ("?", Tone.BAD),
    NodeHealth.DISABLED: ("–", Tone.QUIET),
    NodeHealth.UNKNOWN: ("?", Tone.QUIET),
}

COLUMNS: Final[Mapping[View, tuple[Column, ...]]] = {
    View.JOBS: (
        Column("STATUS", 11),
        Column("JOB", _SHORT),
        Column("APP", 12),
        Column("PHASE", 6),
        Column("TRY", 3, right=True, drop=3),
        Column("RUNNER", 14, drop=2),
        Column("FOR", 6, right=True, drop=4),
        Column("AGE", 6, right=True),
        Column("WHY", 0, flex=True),
    ),
    View.NODES: (
        Column("NODE", 14),
        Column("HEALTH", 11),
        Column("   15 25   FREE DISK %", 30),
        Column("FREE", 8, right=True, drop=1),
        Column("CONT", 4, right=True, drop=3),
        Column("APPS", 4, right=True, drop=2),
        Column("BEAT", 6, right=True),
        Column("WHY", 0, flex=True),
    ),
    View.PLACEMENTS: (
        Column("APP", 14),
        Column("NODE", 16),
        Column("SINCE", 7, right=True),
        Column("NODE HEALTH", 12),
        Column("LAST JOB", 0, flex=True),
    ),
    View.RUNNERS: (
        Column("RUNNER", 16),
        Column("HEALTH", 10),
        Column("SLOTS", 6, right=True),
        Column("SEEN", 6, right=True),
        Column("HOST", 14, drop=1),
        Column("VERSION", 10, drop=2),
        Column("RUNNING JOBS", 0, flex=True),
    ),
}


def rows(view: View, model: Model, now: datetime) -> tuple[Row, ...]:
    """The rows of a view; `now` is the server's time."""
    return _ROWS[view](model, now)


def matching(shown: tuple[Row, ...], text: str) -> tuple[Row, ...]:
    """Rows in which every word of `text` occurs, in any column or the key, whatever the case."""
    words = text.casefold().split()
    if not words:
        return shown
    return tuple(row for row in shown if all(word in _searched(row) for word in words))


def counts(model: Model) -> Mapping[JobStatus, int]:
    """How many jobs are in each state."""
    found = dict.fromkeys(JobStatus, 0)
    for job in model.jobs.values():
        found[job.status] += 1
    return found


def sizes(model: Model) -> Mapping[View, int]:
    """How many rows each view has."""
    return {
        View.JOBS: len(model.jobs),
        View.NODES: len(model.nodes),
        View.PLACEMENTS: len(model.placements),
        View.RUNNERS: len(model.runners),
    }


def short(job_id: str) -> str:
    """The part of a job's id that people read aloud."""
    return job_id[:_SHORT]


def status_cell(status: JobStatus) -> Cell:
    """Sign and word of a job's state."""
    sign, tone = _STATUS[status]
    return Cell(f"{sign} {status.value}", tone)


def health_cell(health: NodeHealth) -> Cell:
    """Sign and word of a node's health."""
    sign, tone = _HEALTH[health]
    return Cell(f"{sign} {health.value}", tone)


def why(job: JobView) -> str:
    """Why a job is as it is, in words; the advice and the log lines of a failure stand in its details."""
    match job.status:
        case JobStatus.PENDING:
            return job.waiting_for.message if job.waiting_for else "waiting for a runner"
        case JobStatus.RUNNING:
            return job.payload.phase_message or ""
        case JobStatus.SUCCEEDED:
            return job.deploy_url or job.image or ""
        case JobStatus.FAILED | JobStatus.CANCELLED:
            cause = (job.error_message or "").partition("\nWhat to do:")[0]
            reason = f"superseded by {short(job.superseded_by)}" if job.superseded_by else job.reason
            return ": ".join(part for part in (reason, cause) if part)


def spent(job: JobView, now: datetime) -> float | None:
    """Seconds the job has been running, or ran."""
    return seconds_between(job.finished_at or now, job.started_at)


def lease_text(job: JobView, now: datetime) -> Cell:
    """The countdown of a running job's lease, by the server's clock."""
    if job.status is not JobStatus.RUNNING or job.lease_expire_at is None:
        return Cell("–", Tone.QUIET)
    left = (job.lease_expire_at - now).total_seconds()
    if left <= 0:
        return Cell(f"lease over {span(-left)} ago", Tone.BAD)
    return Cell(f"lease {span(left)}", Tone.WARN if left < 8 else Tone.PLAIN)


def held_by(model: Model, runner_id: str) -> tuple[JobView, ...]:
    """The running jobs of a runner, oldest first."""
    held = [job for job in model.jobs.values() if job.status is JobStatus.RUNNING and job.runner_id == runner_id]
    return tuple(sorted(held, key=lambda job: (job.created_at, job.id)))


def _searched(row: Row) -> str:
    return f"{row.key} {' '.join(part.text for part in row.cells)}".casefold()


def _job_rows(model: Model, now: datetime) -> tuple[Row, ...]:
    newest = sorted(model.jobs.values(), key=lambda job: (job.created_at, job.id), reverse=True)
    return tuple(_job_row(job, now) for job in newest)


def _job_row(job: JobView, now: datetime) -> Row:
    quiet = Tone.QUIET if job.status.terminal else Tone.PLAIN
    words = why(job)
    return Row(
        job.id,
        (
            status_cell(job.status),
            cell(short(job.id), Tone.QUIET),
            cell(job.app_id, Tone.STRONG),
            Cell(line(job.payload.phase or "") if job.status is JobStatus.RUNNING else "", Tone.BUSY),
            cell(str(job.attempt) if job.attempt else None, quiet),
            cell(job.runner_id, quiet),
            Cell(span(spent(job, now)), quiet),
            Cell(span(seconds_between(now, job.created_at)), quiet),
            cell(words, Tone.BAD if job.status is JobStatus.FAILED else quiet) if words else Cell(""),
        ),
    )


def _node_rows(model: Model, now: datetime) -> tuple[Row, ...]:
    return tuple(_node_row(node, now) for node in sorted(model.nodes.values(), key=lambda node: node.name))


def _node_row(node: NodeView, now: datetime) -> Row:
    beat = seconds_between(now, node.last_heartbeat_at)
    return Row(
        str(node.node_id),
        (
            cell(node.name, Tone.STRONG),
            health_cell(node.health),
            Cell(disk_bar(node.disk_free_pct), disk_tone(node.disk_free_pct)),
            Cell(size(node.disk_free_bytes)),
            cell(None if node.container_count is None else str(node.container_count)),
            Cell(str(node.placements)),
            Cell(span(beat), Tone.BAD if node.health is NodeHealth.STALE else Tone.PLAIN),
            cell("; ".join(node.reasons), health_cell(node.health).tone) if node.reasons else Cell(""),
        ),
    )


def _placement_rows(model: Model, now: datetime) -> tuple[Row, ...]:
    ordered = sorted(model.placements.values(), key=lambda placement: placement.app_id)
    return tuple(_placement_row(model, placement, now) for placement in ordered)


def _placement_row(model: Model, placement: PlacementView, now: datetime) -> Row:
    node = model.nodes.get(placement.node_id)
    run = model.apps.get(placement.app_id)
    last = ""
    if run is not None and run.last_job_id:
        last = f"{short(run.last_job_id)} {run.last_job_status or ''} {run.last_error or ''}"
    return Row(
        placement.app_id,
        (
            cell(placement.app_id, Tone.STRONG),
            cell(node.name if node else f"node {placement.node_id}"),
            Cell(span(seconds_between(now, since(placement.last_active_at)))),
            health_cell(node.health) if node else Cell("? UNKNOWN", Tone.QUIET),
            cell(last, Tone.QUIET),
        ),
    )


def since(epoch_ms: int) -> datetime:
    """Epoch milliseconds as a time."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def _runner_rows(model: Model, now: datetime) -> tuple[Row, ...]:
    ordered = sorted(model.runners.values(), key=lambda runner: runner.runner_id)
    return tuple(_runner_row(model, runner, now) for runner in ordered)


def _runner_row(model: Model, runner: RunnerView, now: datetime) -> Row:
    healthy = runner.health is RunnerHealth.HEALTHY
    held = held_by(model, runner.runner_id)
    slots = f"{len(held)}/{runner.slots}" if runner.slots else str(len(held))
    jobs = "  ".join(
        f"{job.app_id} {job.payload.phase or ''} {short(job.id)} {lease_text(job, now).text}" for job in held
    )
    pause = runner.vitals.pause if runner.vitals and healthy else None
    doing = cell(jobs, Tone.BUSY) if held else Cell("idle", Tone.QUIET)
    if pause:
        doing = cell(f"takes no work: {pause.message}  {jobs}".rstrip(), Tone.WARN)
    return Row(
        runner.runner_id,
        (
            cell(runner.runner_id, Tone.STRONG),
            _runner_label(healthy=healthy, paused=pause is not None),
            Cell(slots, Tone.BUSY if held else Tone.QUIET),
            Cell(span(seconds_between(now, since(runner.last_seen_at_ms)))),
            cell(runner.host, Tone.QUIET),
            cell(runner.version, Tone.QUIET),
            doing,
        ),
    )


def _runner_label(*, healthy: bool, paused: bool) -> Cell:
    if not healthy:
        return Cell("? STALE", Tone.BAD)
    return Cell("‖ PAUSED", Tone.WARN) if paused else Cell("✓ HEALTHY", Tone.GOOD)


_ROWS: Final[Mapping[View, Callable[[Model, datetime], tuple[Row, ...]]]] = {
    View.JOBS: _job_rows,
    View.NODES: _node_rows,
    View.PLACEMENTS: _placement_rows,
    View.RUNNERS: _runner_rows,
}
