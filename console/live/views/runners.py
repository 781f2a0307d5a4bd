"""Runners: what they hold and when they were last heard. Pure."""

from typing import Final

from console.live.cells import Cell, Column, Tone, cell, disk_tone, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import held_by, lease_text, short
from console.live.views.placements import since
from console.live.views.spec import Field, ViewSpec, by_number, by_text
from console.live.words import t, tn
from protocol.nodes import RunnerHealth, RunnerView


def _pause(runner: RunnerView) -> str | None:
    """Why it gets no work, as long as it is heard."""
    if runner.drained_at is not None and runner.health is RunnerHealth.HEALTHY:
        return t("drained by {actor}", actor=runner.drained_by or t("an operator"))
    if runner.vitals is None or runner.vitals.pause is None or runner.health is not RunnerHealth.HEALTHY:
        return None
    return runner.vitals.pause.message


def _health(runner: RunnerView, _: Scene) -> Cell:
    if runner.health is not RunnerHealth.HEALTHY:
        return Cell("? STALE", Tone.BAD)
    return Cell("‖ PAUSED", Tone.WARN) if _pause(runner) else Cell("✓ HEALTHY", Tone.GOOD)


def _slots(runner: RunnerView, scene: Scene) -> Cell:
    held = len(held_by(scene.model.jobs, runner.runner_id))
    return Cell(f"{held}/{runner.slots}" if runner.slots else str(held), Tone.BUSY if held else Tone.QUIET)


def _jobs(runner: RunnerView, scene: Scene) -> Cell:
    held = held_by(scene.model.jobs, runner.runner_id)
    jobs = "  ".join(
        f"{job.app_id} {job.payload.phase or ''} {short(job.id)} {lease_text(job, scene.now).text}" for job in held
    )
    pause = _pause(runner)
    if pause:
        return cell(f"{t('takes no work: {why}', why=pause)}  {jobs}".rstrip(), Tone.WARN)
    return cell(jobs, Tone.BUSY) if held else Cell(t("idle"), Tone.QUIET)


def _least(runner: RunnerView) -> float | None:
    """The free share of its fullest disk in percent."""
    disks = runner.vitals.disks if runner.vitals else ()
    return min((100 * each.free_bytes / each.total_bytes for each in disks if each.total_bytes), default=None)


def _disk(runner: RunnerView) -> Cell:
    free = _least(runner)
    return Cell("–", Tone.QUIET) if free is None else Cell(f"{free:.0f}%", disk_tone(free))


def _self_report(runner: RunnerView) -> str:
    """What the runner's process tells of itself."""
    vitals = runner.vitals
    if vitals is None:
        return ""
    parts = [t("takes no work: {why}", why=vitals.pause.message)] if vitals.pause else []
    parts.append(t("process {name}, up {time}", name=vitals.instance_id, time=span(vitals.up_seconds)))
    for disk in vitals.disks:
        free = t("{free} of {total} free", free=size(disk.free_bytes), total=size(disk.total_bytes))
        parts.append(f"{disk.place} {free}")
    return " · ".join(parts)


def sheet(runner: RunnerView, scene: Scene) -> tuple[str, ...]:
    """What is known of one runner in two lines."""
    held = held_by(scene.model.jobs, runner.runner_id)
    seen = span(seconds_between(scene.now, since(runner.last_seen_at_ms)))
    jobs = " · ".join(
        f"{t('job {job} of app {app}', job=short(job.id), app=job.app_id)} {job.payload.phase or ''}, "
        f"{lease_text(job, scene.now).text}"
        for job in held
    )
    version = t("version {version}", version=runner.version or t("unknown"))
    most, count = runner.slots or "?", runner.slots or 0
    slots = tn("{held} of {most} slot in use", "{held} of {most} slots in use", count, held=len(held), most=most)
    return (
        line(
            f"{t('runner {name}', name=runner.runner_id)} · {runner.host or t('unknown host')} · {version} · {slots} · "
            f"{t('heard {age} ago', age=seen)}"
        ),
        line(jobs or t("runs nothing now")),
        line(_self_report(runner)),
    )


RUNNERS: Final = ViewSpec[RunnerView](
    name="runners",
    title="Runners",
    objects=lambda model: model.runners,
    order="runner",
    words=lambda runner, scene: line(
        f"{runner.runner_id} {runner.health.value} {runner.host or ''} {runner.version or ''} "
        f"{_jobs(runner, scene).text}"
    ),
    sheet=sheet,
    empty="No runners yet. A runner appears when it first asks for work.",
    joined=True,
    fields=(
        Field(
            "runner",
            Column("RUNNER", 16),
            lambda runner, _: cell(runner.runner_id, Tone.STRONG),
            lambda runner, _: by_text(runner.runner_id),
        ),
        Field(
            "health",
            Column("HEALTH", 10),
            _health,
            lambda runner, _: by_text(runner.health.value),
            lambda runner, _: runner.health.value,
        ),
        Field("slots", Column("SLOTS", 6, right=True), _slots, lambda runner, _: by_number(runner.slots)),
        Field(
            "seen",
            Column("SEEN", 6, right=True),
            lambda runner, scene: Cell(span(seconds_between(scene.now, since(runner.last_seen_at_ms)))),
            lambda runner, _: by_number(-runner.last_seen_at_ms),
            ticks=True,
        ),
        Field(
            "disk",
            Column("DISK", 5, right=True, drop=3),
            lambda runner, _: _disk(runner),
            lambda runner, _: by_number(_least(runner)),
        ),
        Field(
            "labels",
            Column("LABELS", 12, drop=4),
            lambda runner, _: cell(", ".join(runner.labels), Tone.QUIET),
            lambda runner, _: by_text(", ".join(runner.labels)),
        ),
        Field(
            "host",
            Column("HOST", 14, drop=1),
            lambda runner, _: cell(runner.host, Tone.QUIET),
            lambda runner, _: by_text(runner.host),
        ),
        Field(
            "version",
            Column("VERSION", 10, drop=2),
            lambda runner, _: cell(runner.version, Tone.QUIET),
            lambda runner, _: by_text(runner.version),
        ),
        Field(
            "jobs",
            Column("RUNNING JOBS", 0, flex=True),
            _jobs,
            lambda runner, scene: by_number(-len(held_by(scene.model.jobs, runner.runner_id))),
            ticks=True,
        ),
    ),
)
