"""The state of the connection and of the queue in a few words. Pure."""

from collections.abc import Mapping

from console.live.actions.spec import Permit
from console.live.cells import Cell, Tone, span
from console.live.model import STALE_SECONDS, Link, LinkState, Live
from console.live.views.jobs import counts
from console.live.words import t
from protocol.jobs import JobStatus


def link_cell(link: Link, local: float) -> Cell:
    """Whether the data is live, and how old it is when not; `local` in seconds of the console's clock."""
    if link.fresh(local):
        return Cell(f"● {t('live')} {span(link.age(local))}", Tone.GOOD)
    age = link.age(local)
    if age is None:
        return Cell(f"… {t('connecting')}{_retry(link, local)}", Tone.WARN)
    if age > STALE_SECONDS:
        return Cell(f"! {t('STALE, data {age} old', age=span(age))}{_retry(link, local)}", Tone.BAD)
    return Cell(f"↻ {t('reconnecting, data {age} old', age=span(age))}{_retry(link, local)}", Tone.WARN)


def mode_cell(permit: Permit) -> Cell:
    """Whether the console may change anything here."""
    if not permit.write:
        return Cell(t("read-only"), Tone.QUIET)
    return Cell(t("write, production"), Tone.BAD) if permit.production else Cell(t("write"), Tone.WARN)


def links_cell(planes: Mapping[str, Live], local: float) -> Cell:
    """The connections of all control planes: of one in full; of several how many are live, and what is wrong with each
    that is not."""
    if len(planes) <= 1:
        return link_cell(next((each.link for each in planes.values()), Link()), local)
    lost = {name: live.link for name, live in planes.items() if not live.link.fresh(local)}
    if not lost:
        return Cell(f"● {t('all {count} live', count=len(planes))}", Tone.GOOD)
    said = "; ".join(f"{name} {link_cell(link, local).text}" for name, link in lost.items())
    bad = any((age := link.age(local)) is not None and age > STALE_SECONDS for link in lost.values())
    heard = t("{count} of {total} live", count=len(planes) - len(lost), total=len(planes))
    return Cell(f"! {heard}; {said}", Tone.BAD if bad else Tone.WARN)


def _retry(link: Link, local: float) -> str:
    if link.state is not LinkState.RECONNECTING or link.retry_at is None:
        return ""
    left = link.retry_at - local
    return t(", next try in {seconds}s", seconds=f"{left:.0f}") if left >= 0.5 else t(", trying now")


def totals(*planes: Live) -> tuple[Cell, ...]:
    """How many jobs run, wait, failed and succeeded, on all control planes together."""
    each = [counts(live.model.jobs) for live in planes if live.model is not None]
    if not each:
        return ()
    found = {status: sum(one[status] for one in each) for status in JobStatus}
    running, pending, failed = (found[status] for status in (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.FAILED))
    return (
        Cell(t("▶ {count} running", count=running), Tone.BUSY if running else Tone.QUIET),
        Cell(t("○ {count} pending", count=pending), Tone.WARN if pending else Tone.QUIET),
        Cell(t("✗ {count} failed", count=failed), Tone.BAD if failed else Tone.QUIET),
        Cell(t("✓ {count} done", count=found[JobStatus.SUCCEEDED]), Tone.QUIET),
    )
