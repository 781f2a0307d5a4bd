"""How often somebody may: so many at once, then one after each interval, whoever else asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.api.domain.rates import Rate, TooOften, origin
from daemons.api.services.limits import Limits


class Watch:
    """Seconds, as a test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    burst=st.integers(1, 20),
    per_minute=st.floats(0.5, 600),
    steps=st.lists(st.floats(0, 120), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_allows_and_never_less(burst: int, per_minute: float, steps: list[float]) -> None:
    """Against a bucket that is filled drop by drop, in another way of counting."""
    rate, now, owed, level = Rate(burst, per_minute), 0.0, 0.0, float(burst)
    for step in steps:
        now += step
        level = min(burst, level + step * per_minute / 60)
        owed, wait = rate.after(owed, now)
        if level >= 1 + 0.01:
            assert wait == 0
        if level < 1 - 0.01:
            assert wait == pytest.approx((1 - level) * 60 / per_minute, abs=60 / per_minute / 50)
        level -= 0 if wait else 1


def test_a_refusal_says_when_and_waiting_that_long_is_enough() -> None:
    watch = Watch()
    limits = Limits("too often", Rate(2, 6), clock=watch)
    limits.take("a")
    limits.take("a")
    with pytest.raises(TooOften, match="too often; try again in 10 s") as refused:
        limits.take("a")
    limits.take("b")
    watch.now += refused.value.retry_after
    limits.take("a")
    with pytest.raises(TooOften):
        limits.take("a")


def test_refused_attempts_do_not_push_the_end_away() -> None:
    watch = Watch()
    limits = Limits("too often", Rate(1, 60), clock=watch)
    limits.take("a")
    for _ in range(100):
        with pytest.raises(TooOften):
            limits.take("a")
    watch.now += 1
    limits.take("a")


def test_what_is_given_back_may_be_taken_again() -> None:
    limits = Limits("too often", Rate(1, 1), clock=Watch())
    for _ in range(5):
        limits.take("a")
        limits.give_back("a")
    limits.give_back("unknown")


def test_only_so_many_are_remembered() -> None:
    limits = Limits("too often", Rate(1, 1), most=2, clock=Watch())
    for caller in ("a", "b", "c"):
        limits.take(caller)
    limits.take("a")
    with pytest.raises(TooOften):
        limits.take("c")


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_a_home_counts_as_one_caller(address: str, counts_as: str) -> None:
    assert origin(address) == counts_as
