"""Jobs: the queue, what runs, and how what ended did. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.fold import Fold
from console.live.keyed import Keyed
from console.live.model import Scene
from console.live.plain import line
from console.live.views.spec import Field, Rank, ViewSpec, by_number, by_text
from console.live.words import later, t
from protocol.jobs import JobStatus, JobView

Changes = Iterable[tuple[JobView | None, JobView | None]]
_SHORT: Final = 8
_STATUS: Final[Mapping[JobStatus, tuple[str, Tone]]] = {
    JobStatus.PENDING: ("○", Tone.WARN),
    JobStatus.RUNNING: ("▶", Tone.BUSY),
    JobStatus.SUCCEEDED: ("✓", Tone.GOOD),
    JobStatus.FAILED: ("✗", Tone.BAD),
    JobStatus.CANCELLED: ("–", Tone.QUIET),
}


def short(job_id: str) -> str:
    """The part of a job's id that people read aloud."""
    return job_id[:_SHORT]


def status_cell(status: JobStatus) -> Cell:
    """Sign and word of a job's state."""
    sign, tone = _STATUS[status]
    return Cell(f"{sign} {status.value}", tone)


def why(job: JobView) -> str:
    """Why a job is as it is, in words; the advice and the log lines of a failure stand in its details."""
    match job.status:
        case JobStatus.PENDING:
            return job.waiting_for.message if job.waiting_for else t("waiting for a runner")
        case JobStatus.RUNNING:
            return job.payload.phase_message or ""
        case JobStatus.SUCCEEDED:
            return job.deploy_url or job.image or ""
        case JobStatus.FAILED | JobStatus.CANCELLED:
            cause = (job.error_message or "").partition("\nWhat to do:")[0]
            reason = t("superseded by {job}", job=short(job.superseded_by)) if job.superseded_by else job.reason
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
        return Cell(t("lease over {age} ago", age=span(-left)), Tone.BAD)
    return Cell(t("lease {time}", time=span(left)), Tone.WARN if left < 8 else Tone.PLAIN)


def eta(job: JobView, scene: Scene) -> Cell:
    """Where a job stands in the line, or between how long and how long it will take yet, by earlier runs of the app."""
    backlog = scene.model.beside.backlog
    if job.status is JobStatus.PENDING:
        place = backlog.position(job.id)
        return (
            Cell(t("#{place} of {count}", place=place, count=backlog.waiting), Tone.PLAIN)
            if place is not None
            else Cell("")
        )
    band, ran = backlog.band(job.app_id), spent(job, scene.now)
    if job.status is not JobStatus.RUNNING or band is None or ran is None:
        return Cell("")
    low, high = band.low - ran, band.high - ran
    if high <= 0:
        return Cell(t("{time} over", time=span(-high)), Tone.WARN)
    return Cell(f"<{span(high)}" if low <= 0 else f"{span(low)}-{span(high)}", Tone.BUSY)


def _count(jobs: Iterable[JobView]) -> Mapping[JobStatus, int]:
    found = dict.fromkeys(JobStatus, 0)
    for job in jobs:
        found[job.status] += 1
    return found


def _recount(found: Mapping[JobStatus, int], changes: Changes) -> Mapping[JobStatus, int]:
    after = dict(found)
    for was, now in changes:
        if was is not None:
            after[was.status] -= 1
        if now is not None:
            after[now.status] += 1
    return after


#: How many jobs are in each state.
counts: Final = Fold[JobView, Mapping[JobStatus, int]](_count, _recount)


def _holder(job: JobView | None) -> str | None:
    """The runner that holds a job: the empty text while a running job has none, None for all others."""
    return (job.runner_id or "") if job is not None and job.status is JobStatus.RUNNING else None


def _held_of(jobs: Iterable[JobView]) -> Mapping[str, tuple[JobView, ...]]:
    return _held_again({}, ((None, job) for job in jobs))


def _held_again(held: Mapping[str, tuple[JobView, ...]], changes: Changes) -> Mapping[str, tuple[JobView, ...]]:
    after = dict(held)
    for was, now in changes:
        if was is not None and (holder := _holder(was)) is not None:
            after[holder] = tuple(job for job in after[holder] if job.id != was.id)
        if now is not None and (holder := _holder(now)) is not None:
            mine = (*after.get(holder, ()), now)
            after[holder] = tuple(sorted(mine, key=lambda job: (job.created_at, job.id)))
    return after


#: The running jobs of each runner, oldest first.
held: Final = Fold[JobView, Mapping[str, tuple[JobView, ...]]](_held_of, _held_again)


def held_by(jobs: Keyed[JobView], runner_id: str) -> tuple[JobView, ...]:
    """The running jobs of a runner, oldest first."""
    return held(jobs).get(runner_id, ())


def _quiet(job: JobView) -> Tone:
    return Tone.QUIET if job.status.terminal else Tone.PLAIN


def _why_cell(job: JobView, _: Scene) -> Cell:
    words = why(job)
    return cell(words, Tone.BAD if job.status is JobStatus.FAILED else _quiet(job)) if words else Cell("")


def _phase(job: JobView, _: Scene) -> Cell:
    return Cell(line(job.payload.phase or "") if job.status is JobStatus.RUNNING else "", Tone.BUSY)


def _for(job: JobView, scene: Scene) -> Cell:
    return Cell(span(spent(job, scene.now)), _quiet(job))


def _began(job: JobView, _: Scene) -> Rank:
    return by_number(-job.started_at.timestamp() if job.started_at else None)


def _ends(job: JobView, scene: Scene) -> Rank:
    """By when it began, where that is known, and what waits last."""
    known = job.status is JobStatus.RUNNING and job.started_at is not None
    return by_number(job.started_at.timestamp() if known and job.started_at else None)


def _words(job: JobView, _: Scene) -> str:
    runner = job.runner_id or ""
    return line(f"{job.id} {job.app_id} {job.user_id} {job.status.value} {job.payload.phase or ''} {runner} {why(job)}")


def _times(job: JobView, now: datetime) -> str:
    created = t("created {age} ago", age=span(seconds_between(now, job.created_at)))
    if job.started_at is None:
        return created
    ran = later("ran {time}") if job.status.terminal else later("running for {time}")
    return f"{created}, {t(ran, time=span(spent(job, now)))}"


def _ends_in(job: JobView, scene: Scene) -> str:
    left = eta(job, scene).text
    if not left:
        return ""
    words = later("{place} in line") if job.status is JobStatus.PENDING else later("ends in {place}")
    return f" · {t(words, place=left)}"


def sheet(job: JobView, scene: Scene) -> tuple[str, ...]:
    """What is known of one job in four lines."""
    payload, now = job.payload, scene.now
    ref, repository = payload.git_ref or t("default branch"), payload.repo_ssh_url or t("no repository")
    what = payload.image or t("{ref} of {repository}", ref=ref, repository=repository)
    attempt = t("attempt {number}", number=job.attempt) if job.attempt else t("not started")
    lease = f", {lease_text(job, now).text}" if job.lease_expire_at else ""
    runner = t(" on {node}", node=job.runner_id) if job.runner_id else ""
    commit = f" · {t('commit {commit}', commit=job.commit[:12])}" if job.commit else ""
    app, user = t("app {app}", app=job.app_id), t("user {user}", user=job.user_id)
    return (
        line(f"{t('job {job}', job=job.id)} · {app} · {user} · {attempt}"),
        line(f"{_times(job, now)}{runner}{lease}{_ends_in(job, scene)}"),
        line(f"{what}{commit}"),
        line(why(job) or job.status.value),
    )


JOBS: Final = ViewSpec[JobView](
    name="jobs",
    title="Jobs",
    objects=lambda model: model.jobs,
    order="age",
    words=_words,
    sheet=sheet,
    empty="No jobs yet. Press n to deploy an app.",
    alone=True,
    fields=(
        Field(
            "status",
            Column("STATUS", 11),
            lambda job, _: status_cell(job.status),
            lambda job, _: by_text(job.status.value),
            lambda job, _: job.status.value,
        ),
        Field(
            "job", Column("JOB", _SHORT), lambda job, _: cell(short(job.id), Tone.QUIET), lambda job, _: by_text(job.id)
        ),
        Field(
            "app", Column("APP", 12), lambda job, _: cell(job.app_id, Tone.STRONG), lambda job, _: by_text(job.app_id)
        ),
        Field("phase", Column("PHASE", 6), _phase, lambda job, _: by_text(job.payload.phase)),
        Field(
            "try",
            Column("TRY", 3, right=True, drop=3),
            lambda job, _: cell(str(job.attempt) if job.attempt else None, _quiet(job)),
            lambda job, _: by_number(job.attempt),
        ),
        Field(
            "runner",
            Column("RUNNER", 14, drop=2),
            lambda job, _: cell(job.runner_id, _quiet(job)),
            lambda job, _: by_text(job.runner_id),
        ),
        Field("for", Column("FOR", 6, right=True, drop=4), _for, _began, ticks=True),
        Field(
            "age",
            Column("AGE", 6, right=True),
            lambda job, scene: Cell(span(seconds_between(scene.now, job.created_at)), _quiet(job)),
            lambda job, _: by_number(-job.created_at.timestamp()),
            ticks=True,
        ),
        Field("eta", Column("ETA", 11, right=True, drop=1), eta, _ends, ticks=True),
        Field("why", Column("WHY", 0, flex=True), _why_cell, lambda job, _: by_text(why(job))),
    ),
)
