"""When a node is too full for what, in bytes and in inodes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.agent.domain import disk
from daemons.agent.domain.disk import DiskFigures, Line, Need, Watermarks
from daemons.agent.domain.images import Layer, missing_bytes, owner_of
from protocol.nodes import DiskLevel

GIB = 1024**3
MARKS = Watermarks(Line(25, 50 * GIB, 2_000_000), Line(15, 20 * GIB, 1_000_000), Line(7, 5 * GIB, 200_000))
SMALL = DiskFigures(free_bytes=50 * GIB, total_bytes=100 * GIB, usable_bytes=100 * GIB)


def figures(free_gib: float, usable_gib: int = 100, inodes: tuple[int, int] | None = None) -> DiskFigures:
    free, total = inodes or (None, None)
    return DiskFigures(int(free_gib * GIB), usable_gib * GIB, usable_gib * GIB, free, total)


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        (figures(50), DiskLevel.OK),
        (figures(24.9), DiskLevel.NO_NEW_APPS),
        (figures(14.9), DiskLevel.NO_PULLS),
        (figures(4.9), DiskLevel.STOPS_ONLY),
        (figures(51, 2000), DiskLevel.OK),
        (figures(49, 2000), DiskLevel.NO_NEW_APPS),
        (figures(19, 2000), DiskLevel.NO_PULLS),
        (figures(4, 2000), DiskLevel.STOPS_ONLY),
        (figures(50, inodes=(24, 100)), DiskLevel.NO_NEW_APPS),
        (figures(50, inodes=(14, 100)), DiskLevel.NO_PULLS),
        (figures(50, inodes=(6, 100)), DiskLevel.STOPS_ONLY),
        (figures(50, inodes=(3_000_000, 100_000_000)), DiskLevel.OK),
        (figures(50, inodes=(0, 0)), DiskLevel.OK),
        (figures(0, 0), DiskLevel.OK),
    ],
)
def test_the_lowest_line_that_was_crossed_counts(seen: DiskFigures, level: DiskLevel) -> None:
    assert disk.level(seen, MARKS) is level
    words = disk.explained(seen, MARKS, level)
    assert bool(words) is (level is not DiskLevel.OK)
    assert "below" in words or not words


def test_a_line_counts_until_a_fifth_more_is_free() -> None:
    level = DiskLevel.OK
    seen = []
    for free in (26, 24.9, 25.1, 29.9, 30.1, 14.9, 17.9, 18.1, 6.9, 5.1, 4.9, 5.9, 6.1, 18.1, 30.1):
        level = disk.level(figures(free), MARKS, level)
        seen.append(level.value)
    low, high, flood = "no_new_apps", "no_pulls", "stops_only"
    assert seen == ["ok", low, low, low, "ok", high, high, low, high, high, flood, flood, high, low, "ok"]


@settings(deadline=None)
@given(st.integers(0, 200 * GIB), st.integers(1, 200 * GIB), st.sampled_from(DiskLevel))
def test_more_room_is_never_worse_and_words_always_say_why(free: int, more: int, before: DiskLevel) -> None:
    tight = DiskFigures(free, 400 * GIB, 400 * GIB)
    roomy = replace(tight, free_bytes=free + more)
    found = disk.level(tight, MARKS, before)
    assert disk.at_least(found, disk.level(roomy, MARKS, before))
    assert disk.at_least(found, disk.level(tight, MARKS)), "what was crossed counts at least as long"
    assert (found is DiskLevel.OK) or "below" in disk.explained(tight, MARKS, found)
    assert disk.level(tight, MARKS, found) is found, "looking again at the same changes nothing"


@settings(deadline=None)
@given(st.lists(st.integers(0, 40 * GIB), max_size=6))
def test_what_fits_never_crosses_the_line(sizes: list[int]) -> None:
    reserved: list[Need] = []
    for each in map(Need.of_unpacked, sizes):
        if disk.fits(SMALL, MARKS, (*reserved, each)):
            reserved.append(each)
    assert SMALL.free_bytes - sum(each.bytes for each in reserved) >= 15 * GIB
    assert not disk.at_least(disk.level(disk.after(SMALL, reserved), MARKS), DiskLevel.NO_PULLS)


def test_inodes_are_reserved_too() -> None:
    seen = figures(90, inodes=(200_000, 1_000_000))
    assert disk.fits(seen, MARKS, (Need(GIB, 50_000),))
    assert not disk.fits(seen, MARKS, (Need(GIB, 50_001),))


def test_only_layers_on_top_of_the_same_layers_are_there() -> None:
    layers = [Layer(10, "a"), Layer(20, "b"), Layer(30, "c")]
    assert missing_bytes(layers, []) == 60
    assert missing_bytes(layers, [("a",), ("a", "x", "c")]) == 50
    assert missing_bytes(layers, [("b", "c")]) == 60
    assert missing_bytes(layers, [("a", "b", "c", "d"), ()]) == 0


@pytest.mark.parametrize(
    ("reference", "owner"),
    [
        ("registry:5000/funai/u7-app5:x", ("7", "5")),
        ("funai/u7-app5", ("7", "5")),
        (f"registry:5000/funai/u7-appa-b@sha256:{'a' * 64}", ("7", "a-b")),
        ("funai/u7-app5/tool:x", None),
        ("funai/xu7-app5:x", None),
        ("funai/u0-app5:x", None),
        ("busybox:u7-app5", None),
    ],
)
def test_only_our_own_repositories_have_owners(reference: str, owner: tuple[str, str] | None) -> None:
    assert owner_of(reference) == owner
