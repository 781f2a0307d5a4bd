"""The stages of a job as rows: what each attempt did, for how long, and what came of it. Pure."""

from datetime import datetime
from typing import Final

from console.live.cells import Cell, Column, Row, Tone, cell, seconds_between, size
from console.live.words import tn
from protocol.jobs import StageOutcome, StageView

STAGE_COLUMNS: Final = (
    Column("TRY", 3, right=True),
    Column("STAGE", 6),
    Column("OUTCOME", 10),
    Column("TOOK", 7, right=True),
    Column("SIZE", 7, right=True),
    Column("MADE", 24, flex=True),
)
STAGE_TONES: Final = {
    StageOutcome.RUNNING: Tone.BUSY,
    StageOutcome.DONE: Tone.GOOD,
    StageOutcome.FAILED: Tone.BAD,
    StageOutcome.UNFINISHED: Tone.WARN,
}
_COMMIT_DIGITS: Final = 12


def stage_rows(stages: tuple[StageView, ...], now: datetime) -> tuple[Row, ...]:
    """One row for each; of one that nobody ended it is unknown how long it took."""
    return tuple(Row(f"{stage.attempt}-{stage.phase}", _cells(stage, now)) for stage in stages)


def _cells(stage: StageView, now: datetime) -> tuple[Cell, ...]:
    known = stage.outcome in StageOutcome.__members__
    return (
        Cell(str(stage.attempt)),
        cell(stage.phase),
        cell(stage.outcome.lower(), STAGE_TONES.get(StageOutcome(stage.outcome), Tone.QUIET) if known else Tone.QUIET),
        Cell(_took(stage, now)),
        Cell(size(stage.bytes)),
        cell(_made(stage)),
    )


def _took(stage: StageView, now: datetime) -> str:
    end = stage.ended_at or (now if stage.outcome == StageOutcome.RUNNING else None)
    seconds = seconds_between(end, stage.started_at) if end is not None else None
    return "–" if seconds is None else f"{seconds:.1f}s"


def retried(stage: StageView) -> str:
    """How often it was tried again, if at all."""
    if not stage.retries:
        return ""
    return tn(", tried again {count} time", ", tried again {count} times", stage.retries)


def _made(stage: StageView) -> str:
    again = retried(stage)
    if stage.image_digest:
        return f"{stage.image or 'image'} ({stage.image_digest}){again}"
    return (stage.image or (f"commit {stage.commit[:_COMMIT_DIGITS]}" if stage.commit else "")) + again
