"""Thousands of schedules: clients, clocks, networks, crashes; after every step every rule holds.

What may happen stands in `machine`, what must hold in `rules` and `requests`. Here the seed is fixed; many more, with
a seed of chance that is printed first:

    python -m tests.model --schedules 100000
"""

import os

import pytest

from tests.model.play import Played, chunks, play_all, share

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SEED = 20_260_101
#: What a green run must have seen, each at least so often per thousand schedules: otherwise it shows nothing.
SEEN = {
    "made": 500,
    "claimed": 300,
    "holds": 20,
    "SUCCEEDED": 20,
    "lease lost": 50,
    "too late": 1,
    "busy": 50,
    "mismatch": 5,
    "unavailable": 20,
}


@pytest.fixture
def schedules(request: pytest.FixtureRequest) -> int:
    """How many, over all."""
    count: int = request.config.getoption("--schedules")
    return count


def none_breaks_a_rule(schedules: int, over: str) -> Played:
    # One processor stays free for the tests beside this one, which wait for answers.
    played = play_all(chunks(schedules, SEED, over), max(1, (os.cpu_count() or 1) - 1))

    assert not played.failures, "\n".join(played.failures)
    assert played.schedules >= schedules
    return played


def test_no_schedule_over_sqlite_breaks_a_rule(schedules: int) -> None:
    wanted = share(schedules, "sqlite")
    played = none_breaks_a_rule(wanted, "sqlite")

    rare = {word: played.words[word] for word, often in SEEN.items() if played.words[word] * 1000 < often * wanted}
    assert not rare, f"{played}"


def test_no_schedule_over_http_breaks_a_rule(schedules: int) -> None:
    none_breaks_a_rule(share(schedules, "http"), "http")


@pytest.mark.real
def test_no_schedule_over_mariadb_breaks_a_rule(schedules: int, mariadb_url: str) -> None:
    none_breaks_a_rule(share(schedules, "mariadb"), mariadb_url)
