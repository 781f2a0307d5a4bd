"""Lines and bars of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.live.sparks import bar, spark

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
