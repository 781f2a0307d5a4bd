"""The state of the connection and of the queue in a few words. Pure."""

from console.live.actions.spec import Permit
from console.live.cells import Cell, Tone, span
from console.live.model import STALE_SECONDS, Link, LinkState, Live
from console.live.views.jobs import counts
from protocol.jobs import JobStatus


def link_cell(link: Link, local: float) -> Cell:
    """Whether the data is live, and how old it is when not; `local` in seconds of the console's clock."""
    if link.fresh(local):
        return Cell("● live", Tone.GOOD)
    age = link.age(local)
    if age is None:
        return Cell(f"… connecting{_retry(link, local)}", Tone.WARN)
    if age > STALE_SECONDS:
        return Cell(f"! STALE, data {span(age)} old{_retry(link, local)}", Tone.BAD)
    return Cell(f"↻ reconnecting, data {span(age)} old{_retry(link, local)}", Tone.WARN)


def mode_cell(permit: Permit) -> Cell:
    """Whether the console may change anything here."""
    if not permit.write:
        return Cell("read-only", Tone.QUIET)
    return Cell("write, production", Tone.BAD) if permit.production else Cell("write", Tone.WARN)


def _retry(link: Link, local: float) -> str:
    if link.state is not LinkState.RECONNECTING or link.retry_at is None:
        return ""
    left = link.retry_at - local
    return f", next try in {left:.0f}s" if left >= 0.5 else ", trying now"


def totals(live: Live) -> tuple[Cell, ...]:
    """How many jobs run, wait, failed and succeeded."""
    if live.model is None:
        return ()
    found = counts(live.model.jobs)
    running, pending, failed = (found[status] for status in (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.FAILED))
    return (
        Cell(f"▶ {running} running", Tone.BUSY if running else Tone.QUIET),
        Cell(f"○ {pending} pending", Tone.WARN if pending else Tone.QUIET),
        Cell(f"✗ {failed} failed", Tone.BAD if failed else Tone.QUIET),
        Cell(f"✓ {found[JobStatus.SUCCEEDED]} done", Tone.QUIET),
    )
