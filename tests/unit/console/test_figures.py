"""Lines and bars of text, and the history that they are drawn from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.live.history import MOST_POINTS, POINT_SECONDS, History, seconds_to
from console.live.model import Model
from console.live.reduce import load, remembered
from console.live.sparks import bar, spark
from tests.console.samples import snapshot

NUMBERS = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ((), 3, "   "),
        ((1.0,), 3, "  ▁"),
        ((0, 1, 2, 3, 4, 5, 6, 7), 8, "▁▂▃▄▅▆▇█"),
        ((5, 5, 5), 3, "▁▁▁"),
        ((9, 0, 7), 2, "▁█"),
        ((1, 2), 0, ""),
    ],
)
def test_lines(values: tuple[float, ...], width: int, line: str) -> None:
    assert spark(values, width) == line


def test_a_line_between_given_ends() -> None:
    assert spark((0, 50, 100, 140), 4, 0, 100) == "▁▅██"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "    "), (1, "████"), (0.5, "██  "), (0.001, "▏   "), (0.6, "██▍ "), (-1, "    "), (7, "████")],
)
def test_bars(share: float, text: str) -> None:
    assert bar(share, 4) == text


@given(st.lists(NUMBERS, max_size=30), st.integers(0, 20), st.floats(-2, 3))
def test_they_are_as_wide_as_they_should_be(values: list[float], width: int, share: float) -> None:
    assert len(spark(values, width)) == width
    assert len(bar(share, width)) == width


def test_history_is_taken_in_steps_and_bounded() -> None:
    model: Model = load(snapshot(), 0.0)
    for step in range(200):
        model = remembered(model, step * POINT_SECONDS / 2)
    history = model.history
    assert len(history.queue) == len(history.disk["1"]) == MOST_POINTS
    assert history.queue[-1] == 2 and history.running[-1] == 1
    assert "4" not in history.disk, "a node without figures has no line"
    assert remembered(model, 199 * POINT_SECONDS / 2) is model


def test_when_a_disk_will_be_full() -> None:
    falls = tuple(60.0 - step for step in range(10))
    assert seconds_to(falls, 15.0) == pytest.approx((51 - 15) * POINT_SECONDS)
    assert seconds_to(falls[:3], 15.0) is None
    assert seconds_to(falls[::-1], 15.0) is None
    assert seconds_to((10.0, 9.0, 8.0, 7.0), 15.0) is None, "it is there already"
    assert History().due(0.0)
