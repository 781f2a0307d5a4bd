"""Who may do what only one replica does."""

from dataclasses import replace

from daemons.deploy.domain.singletons import Holding, following, held

LEASE = 4000
MINE = Holding("reaper", "me", 7, since=1000, until=5000)


def test_what_nobody_ever_held_is_taken() -> None:
    assert following(None, "reaper", "me", LEASE, 1000) == Holding("reaper", "me", 1, 1000, 5000)


def test_a_lease_that_ended_is_taken_over_under_a_new_epoch() -> None:
    assert following(MINE, "reaper", "other", LEASE, 5000) == Holding("reaper", "other", 8, 5000, 9000)
    assert following(MINE, "reaper", "me", LEASE, 5000) == Holding("reaper", "me", 8, 5000, 9000)


def test_the_lease_of_another_is_left_alone_until_it_ends() -> None:
    assert following(MINE, "reaper", "other", LEASE, 4999) is None


def test_an_own_lease_is_renewed_when_a_third_of_it_is_over() -> None:
    assert following(MINE, "reaper", "me", LEASE, 2334) is None
    assert following(MINE, "reaper", "me", LEASE, 2335) == replace(MINE, until=6335)


def test_only_the_holder_works_and_only_until_its_lease_ends() -> None:
    assert held(MINE, "me", 4999)
    assert not held(MINE, "me", 5000)
    assert not held(MINE, "other", 4999)
