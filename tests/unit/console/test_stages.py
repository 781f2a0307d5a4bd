"""The stages of a job as rows of text."""

from datetime import UTC, datetime, timedelta

import pytest

from console.live.stages import STAGE_COLUMNS, stage_rows
from protocol.jobs import StageView

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = START + timedelta(seconds=90)


def text(**more: object) -> list[str]:
    fields = {"attempt": 2, "phase": "PUSH", "outcome": "DONE", "started_at": START, **more}
    (row,) = stage_rows((StageView.model_validate(fields),), NOW)
    assert len(row.cells) == len(STAGE_COLUMNS)
    return [cell.text for cell in row.cells]


@pytest.mark.parametrize(
    ("outcome", "ended", "took"),
    [
        ("DONE", START + timedelta(milliseconds=700), "0.7s"),
        ("RUNNING", None, "90.0s"),
        ("UNFINISHED", None, "–"),
        ("FROM_THE_FUTURE", START, "0.0s"),
    ],
)
def test_how_long_a_stage_took_is_said_where_it_is_known(outcome: str, ended: datetime | None, took: str) -> None:
    assert text(outcome=outcome, ended_at=ended)[2:4] == [outcome.lower(), took]


def test_what_a_stage_made() -> None:
    digest = "sha256:" + "a" * 64
    assert text(commit="0123456789abcdef", bytes=1500)[4:] == ["1.5 kB", "commit 0123456789ab"]
    assert text(image="r/x:1", image_digest=digest, commit="0" * 40)[5] == f"r/x:1 ({digest})"
    assert text(image="r/x:1", commit="0" * 40)[5] == "r/x:1"
    assert text()[4:] == ["–", "–"]
    assert "\x1b" not in text(commit="\x1b[31m")[5]
