"""The stages of one job as a timeline: what each attempt did, when, for how long, and what came of it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from console.live.cells import Cell, Column, Tone, cell, seconds_between, size
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.stages import STAGE_TONES, retried
from console.live.views.spec import Field, ViewSpec, by_number, by_text, counted, worded
from console.live.words import t
from protocol.jobs import JobView, StageOutcome, StageView

_BAR: Final = 24


def job_of(model: Model, job_id: str) -> JobView | None:
    """The job, also when it is older than the snapshot goes back."""
    return model.jobs.get(job_id)


def _end(stage: StageView, now: datetime) -> datetime | None:
    return stage.ended_at or (now if stage.outcome == StageOutcome.RUNNING else None)


def _took(stage: StageView, scene: Scene) -> str:
    end = _end(stage, scene.now)
    seconds = seconds_between(end, stage.started_at) if end is not None else None
    return "–" if seconds is None else f"{seconds:.1f}s"


def bar(start: float, end: float, whole: float) -> str:
    """A span of time within the whole as a bar."""
    if whole <= 0:
        return ""
    first = min(_BAR - 1, int(_BAR * start / whole))
    last = max(first + 1, min(_BAR, round(_BAR * end / whole)))
    return "·" * first + "█" * (last - first) + "·" * (_BAR - last)


def _within(stage: StageView, stages: Sequence[StageView], now: datetime) -> Cell:
    end = _end(stage, now) or stage.started_at
    began = min(each.started_at for each in stages)
    over = max(_end(each, now) or each.started_at for each in stages)
    seconds = [(moment - began).total_seconds() for moment in (stage.started_at, end, over)]
    return Cell(bar(*seconds), _outcome(stage).tone)


def _made(stage: StageView) -> str:
    again = retried(stage)
    made = stage.image or (f"commit {stage.commit[:12]}" if stage.commit else "")
    digest = f" ({stage.image_digest})" if stage.image_digest else ""
    return f"{made}{digest}{again}"


def _outcome(stage: StageView) -> Cell:
    known = stage.outcome in StageOutcome.__members__
    return cell(
        stage.outcome.lower(), STAGE_TONES.get(StageOutcome(stage.outcome), Tone.QUIET) if known else Tone.QUIET
    )


def _sheet(stage: StageView, scene: Scene) -> tuple[str, ...]:
    return (
        line(
            f"{t('{phase} of attempt {number}', phase=stage.phase, number=stage.attempt)} · {stage.outcome.lower()} · "
            f"{t('took {time}', time=_took(stage, scene))}"
        ),
        line(t("began {time} UTC · made {size}", time=f"{stage.started_at:%Y-%m-%d %H:%M:%S}", size=size(stage.bytes))),
        line(_made(stage)),
    )


def _length(stage: StageView) -> float | None:
    return (stage.ended_at - stage.started_at).total_seconds() if stage.ended_at else None


_OUTCOME: Final[Field[StageView]] = Field(
    "outcome",
    Column("OUTCOME", 10),
    lambda stage, _: _outcome(stage),
    lambda each, _: by_text(each.outcome),
)
_TOOK: Final[Field[StageView]] = Field(
    "took",
    Column("TOOK", 7, right=True),
    lambda stage, scene: Cell(_took(stage, scene)),
    lambda stage, _: by_number(_length(stage)),
    ticks=True,
)
_SIZE: Final[Field[StageView]] = Field(
    "size",
    Column("SIZE", 7, right=True, drop=1),
    lambda stage, _: Cell(size(stage.bytes)),
    lambda stage, _: by_number(stage.bytes),
)


@lru_cache(maxsize=64)
def steps_of(job_id: str) -> ViewSpec[StageView]:
    """The timeline of one job."""

    def rows(model: Model) -> dict[str, StageView]:
        job = job_of(model, job_id)
        return {f"{each.attempt}-{each.phase}": each for each in job.stages} if job else {}

    def when(stage: StageView, scene: Scene) -> Cell:
        job = job_of(scene.model, job_id)
        return _within(stage, job.stages, scene.now) if job is not None and job.stages else Cell("")

    stages = Derived(lambda model: (job_of(model, job_id),), rows)
    return ViewSpec(
        name="steps",
        title="Stages",
        objects=stages,
        order="began",
        words=lambda stage, _: line(f"{stage.phase} {stage.outcome} {_made(stage)}"),
        sheet=_sheet,
        empty="No stage yet: the job has not begun, or its runner tells none.",
        fields=(
            counted("try", Column("TRY", 3, right=True), lambda stage: stage.attempt),
            worded("stage", Column("STAGE", 6), lambda stage: stage.phase, Tone.STRONG),
            _OUTCOME,
            Field(
                "began",
                Column("TIMELINE", _BAR),
                when,
                lambda stage, _: by_number(stage.started_at.timestamp()),
                ticks=True,
            ),
            _TOOK,
            _SIZE,
            worded("made", Column("MADE", 0, flex=True), _made, Tone.QUIET),
        ),
    )
