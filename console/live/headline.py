"""The state of the connection and of the queue in a few words. Pure."""

from console.live.cells import Cell, Tone, span
from console.live.model import STALE_SECONDS, Link, LinkState, Live
from console.live.views.jobs import counts
from console.live.words import t
from protocol.jobs import JobStatus


def link_cell(link: Link, local: float) -> Cell:
    """Whether the data is live, and how old it is when not; `local` in seconds of the console's clock."""
    if link.fresh(local):
        return Cell(f"● {t('live')}", Tone.GOOD)
    age = link.age(local)
    if age is None:
        return Cell(f"… {t('connecting')}{_retry(link, local)}", Tone.WARN)
    if age > STALE_SECONDS:
        return Cell(f"! {t('STALE, data {age} old', age=span(age))}{_retry(link, local)}", Tone.BAD)
    return Cell(f"↻ {t('reconnecting, data {age} old', age=span(age))}{_retry(link, local)}", Tone.WARN)


def _retry(link: Link, local: float) -> str:
    if link.state is not LinkState.RECONNECTING or link.retry_at is None:
        return ""
    left = link.retry_at - local
    return t(", next try in {seconds}s", seconds=f"{left:.0f}") if left >= 0.5 else t(", trying now")


def totals(live: Live) -> tuple[Cell, ...]:
    """How many jobs run, wait, failed and succeeded."""
    if live.model is None:
        return ()
    found = counts(live.model.jobs)
    running, pending, failed = (found[status] for status in (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.FAILED))
    return (
        Cell(t("▶ {count} running", count=running), Tone.BUSY if running else Tone.QUIET),
        Cell(t("○ {count} pending", count=pending), Tone.WARN if pending else Tone.QUIET),
        Cell(t("✗ {count} failed", count=failed), Tone.BAD if failed else Tone.QUIET),
        Cell(t("✓ {count} done", count=found[JobStatus.SUCCEEDED]), Tone.QUIET),
    )
