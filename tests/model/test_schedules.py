"""Thousands of schedules over SQLite: clients, clocks, networks, crashes; after every step every rule holds.

What may happen stands in `machine`, what must hold in `rules` and `requests`. Here the seed is fixed; many more, with
a seed of chance that is printed first:

    python -m tests.model --schedules 100000
"""

import os

import pytest

from tests.model.play import play_all

SEED = 20_260_101
#: What a green run must have seen, each at least so often per thousand schedules: otherwise it shows nothing.
SEEN = {
    "made": 1000,
    "claimed": 500,
    "holds": 100,
    "SUCCEEDED": 50,
    "lease lost": 100,
    "too late": 5,
    "busy": 100,
    "mismatch": 10,
    "unavailable": 50,
}


@pytest.mark.slow
@pytest.mark.timeout(3600 * 12)
def test_no_schedule_breaks_a_rule(request: pytest.FixtureRequest) -> None:
    schedules = request.config.getoption("--schedules")

    played = play_all(schedules, SEED, os.cpu_count() or 1)

    assert not played.failures, "\n".join(played.failures)
    assert played.schedules >= schedules
    rare = {word: played.words[word] for word, often in SEEN.items() if played.words[word] * 1000 < often * schedules}
    assert not rare, f"{played}"
