"""The stages of a job's attempts: what its runners did, from when to when, and what came of it.

They are what a next attempt may go on from, so they outlast the runner that tells of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.jobs import StageOutcome, StageReport

#: More than any job has with as many attempts as are allowed by default, and a bound for those with more.
_MOST_KEPT: Final = 40


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one attempt; times in epoch milliseconds."""

    attempt: int
    phase: str
    outcome: StageOutcome
    started_at: int
    ended_at: int | None = None
    bytes: int | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    retries: int | None = None


def recorded(
    known: tuple[Stage, ...], attempt: int, began_at: int, reports: Sequence[StageReport]
) -> tuple[Stage, ...]:
    """The stages with those of an attempt, which began then (epoch ms), as its runner tells them now.

    A runner that tells none, as existing ones do, changes nothing.
    """
    if not reports:
        return known
    others = tuple(stage for stage in known if stage.attempt != attempt)
    return (*others, *(_stage(attempt, began_at, report) for report in reports))[-_MOST_KEPT:]


def outcome_of(stage: Stage, attempt: int, *, running: bool) -> StageOutcome:
    """How it stands now that the job is in that attempt: what nobody ends any more is not running."""
    over = stage.attempt != attempt or not running
    return StageOutcome.UNFINISHED if over and stage.outcome is StageOutcome.RUNNING else stage.outcome


def _stage(attempt: int, began_at: int, report: StageReport) -> Stage:
    return Stage(
        attempt=attempt,
        phase=report.phase.value,
        outcome=report.outcome,
        started_at=began_at + report.started_ms,
        ended_at=None if report.ended_ms is None else began_at + report.ended_ms,
        bytes=report.bytes,
        image=report.image,
        image_digest=report.image_digest,
        commit=report.commit,
        retries=report.retries,
    )
