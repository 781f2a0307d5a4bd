"""What counts as use, and what becomes of a workspace that nobody uses."""

from dataclasses import replace

import pytest

from daemons.workspace.domain.idle import Busy, Fate, Patience, Sample, fate, works
from daemons.workspace.domain.workspaces import Phase, Workspace

MINUTE = 60_000
RUNNING = Workspace("7", 20007, 0, Phase.RUNNING, used_at_ms=0)


@pytest.mark.parametrize(
    ("phase", "minutes", "wanted"),
    [
        (Phase.RUNNING, 9, Fate.KEEP),
        (Phase.RUNNING, 10, Fate.FREEZE),
        (Phase.FROZEN, 10, Fate.KEEP),
        (Phase.FROZEN, 20, Fate.STOP),
        (Phase.RUNNING, 20, Fate.STOP),
        (Phase.STOPPED, 99, Fate.KEEP),
        (Phase.STARTING, 99, Fate.KEEP),
        (Phase.MOVED, 99, Fate.KEEP),
    ],
)
def test_time_without_use_decides(phase: Phase, minutes: int, wanted: Fate) -> None:
    assert fate(replace(RUNNING, phase=phase), Patience(10, 20), minutes * MINUTE) is wanted


def test_zero_minutes_are_never() -> None:
    assert fate(RUNNING, Patience(0, 0), 10**12) is Fate.KEEP
    assert fate(RUNNING, Patience(0, 20), 20 * MINUTE) is Fate.STOP


@pytest.mark.parametrize(
    ("cpu_ms", "received", "wanted"),
    [(0, 0, False), (2999, 65536, False), (3001, 0, True), (0, 65537, True)],
)
def test_a_twentieth_of_a_processor_or_a_page_a_minute_is_use(cpu_ms: int, received: int, wanted: bool) -> None:
    before, now = Sample(0, 500, 70), Sample(MINUTE, 500 + cpu_ms * 10**6, 70 + received)
    assert works(before, now, Busy()) is wanted


def test_a_container_that_was_started_anew_counts_from_zero() -> None:
    assert not works(Sample(0, 10**12, 10**9), Sample(MINUTE, 10**6, 100), Busy())
    assert works(Sample(0, 10**12, 10**9), Sample(MINUTE, 10**10, 100), Busy())
