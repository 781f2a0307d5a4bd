"""When calls to a silent server are stopped, and when they are let through again."""

from daemons.kit.breaker import Breaker


def test_calls_are_made_while_the_server_answers() -> None:
    breaker = Breaker()
    breaker.answered(1)
    breaker.silent(asked=0.5, now=3)
    assert breaker.admits(3)


def test_a_call_that_had_hardly_any_time_says_nothing() -> None:
    breaker = Breaker()
    breaker.silent(asked=1, now=1.1)
    assert breaker.admits(1.1)


def test_silence_stops_all_calls_but_one_in_a_while() -> None:
    breaker = Breaker(1)
    breaker.answered(1)
    breaker.silent(asked=2, now=5)
    assert not breaker.admits(5.9)
    assert breaker.admits(6)
    assert not breaker.admits(6)
    assert not breaker.admits(6.9)
    assert breaker.admits(7)


def test_the_first_answer_lets_everybody_through() -> None:
    breaker = Breaker(1)
    breaker.refused(5)
    assert not breaker.admits(5.5)
    breaker.answered(6)
    assert breaker.admits(6)
    assert breaker.admits(6)


def test_who_waited_meanwhile_learns_that_it_was_opened() -> None:
    breaker = Breaker(1)
    assert not breaker.opened_since(0)
    breaker.refused(5)
    assert breaker.opened_since(4)
    assert not breaker.opened_since(6)
    breaker.answered(7)
    assert not breaker.opened_since(4)
