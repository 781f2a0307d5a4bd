"""Logs: lines by number in packed chunks, colours without what is hostile, search, places that never move."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.live.logs.book import Logbook, Origin, Piece
from console.live.logs.colours import PLAIN, Look, Run, after, drawn
from console.live.logs.lines import LONGEST, Intake, Line, Mark, cuts
from console.live.logs.paper import Layout, Paper, Stamps, row_starts
from console.live.logs.place import Place, at_end, moved, on, settled
from console.live.logs.save import save
from console.live.logs.search import Matches, wanted
from console.live.logs.store import LogStore

APP, OTHER = Origin("app", "20001", "app 20001"), Origin("app", "20002", "app 20002")


def lines(intake: Intake, *chunks: bytes) -> list[Line]:
    return [line for chunk in chunks for line in intake.feed(chunk)] + list(intake.finish())


def book(*texts: str, origins: Sequence[Origin] = (APP,), store: LogStore | None = None) -> Logbook:
    found = Logbook(origins, store)
    found.take(Piece(0, f"{text}\n".encode()) for text in texts)
    return found


def searched(log: Logbook, words: str) -> Matches:
    found = Matches(wanted(words), log.store)
    while not found.complete:
        found.look_on()
    return found


# Lines


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_however_bytes_are_cut_the_lines_are_the_same(data: bytes, places: list[int]) -> None:
    ends = [0, *sorted(places), len(data)]
    chunks = [data[start:end] for start, end in pairwise(ends)]
    whole, cut = lines(Intake(), data), lines(Intake(), *chunks)
    assert [line.raw for line in whole] == [line.raw for line in cut]


def test_a_line_has_the_time_of_its_first_byte_and_carriage_returns_at_its_end_are_none() -> None:
    intake = Intake(3)
    assert list(intake.feed(b"on", 10, 1)) == []
    assert intake.unfinished == Line(b"on", 3, 10, 1)
    assert list(intake.feed(b"e\r\ntwo\nth", 20, 2)) == [Line(b"one", 3, 10, 1), Line(b"two", 3, 20, 2)]
    assert list(intake.finish()) == [Line(b"th", 3, 20, 2)]


@given(st.text(alphabet="aé魚\U0001f600\x1b[31m", min_size=1, max_size=40))
@settings(max_examples=50)
def test_an_over_long_line_is_cut_between_characters_and_nothing_is_lost(text: str) -> None:
    raw = text.encode() * (LONGEST * 2 // len(text.encode()))
    pieces = cuts(raw)
    assert b"".join(pieces) == raw
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert all(piece.decode() for piece in pieces if piece)


def test_a_megabyte_in_one_line_is_many_short_ones_that_go_on() -> None:
    found = lines(Intake(), *[b"x" * 65_536] * 16, b"end\n")
    assert b"".join(line.raw for line in found) == b"x" * 1_048_576 + b"end"
    assert all(Mark.GOES_ON in line.mark for line in found[:-1]) and found[-1].mark is Mark.NONE


def test_a_progress_bar_is_one_line_with_its_last_state_and_what_is_not_kept_is_counted() -> None:
    intake = Intake()
    found = list(intake.feed(b"".join(b"%6d\r" % n for n in range(10_000)) + b"done\n"))
    assert [line.mark for line in found] == [Mark.NOTE, Mark.NONE]
    shown = drawn(found[1].raw)
    assert shown.text == "done"
    assert found[0].raw == f"{10_000 - shown.folded:,} earlier states of the next line are not kept".encode()


# Colours


@pytest.mark.parametrize(
    ("raw", "runs"),
    [
        (b"plain", (Run("plain", PLAIN),)),
        (b"\x1b[1;31mred\x1b[0m off", (Run("red", Look(text=1, bold=True)), Run(" off", PLAIN))),
        (b"\x1b[38;5;208mo\x1b[39mp", (Run("o", Look(text=208)), Run("p", PLAIN))),
        (b"\x1b[38;2;1;2;3mt\x1b[48:2::4:5:6mu", (Run("t", Look((1, 2, 3))), Run("u", Look((1, 2, 3), (4, 5, 6))))),
        (b"\x1b[8mhidden\x1b[5mblinks", (Run("hidden", PLAIN), Run("blinks", PLAIN))),
        (b"\x1b]0;title\x07\x1b[2Ja\x1b[31", (Run("a[31", PLAIN),)),
        ("a\u202eb\u200bc".encode(), (Run("abc", PLAIN),)),
        (b"\x1b[97;104mx", (Run("x", Look(15, 12)),)),
        (b"10%\r\x1b[32m20%\r\x1b[K", (Run("20%", Look(text=2)),)),
    ],
)
def test_colours_are_kept_and_nothing_else(raw: bytes, runs: tuple[Run, ...]) -> None:
    assert drawn(raw).runs == runs


@given(st.binary(max_size=60) | st.sampled_from([b"\x1b[2J", b"\x1b[31;", b"\x1b[38;5m", b"\x1b[;;m", b"\x1b[38:2:m"]))
def test_nothing_that_moves_a_terminal_is_ever_drawn(raw: bytes) -> None:
    assert all(char.isprintable() or char in "\t\u200d" for char in drawn(raw.replace(b"\n", b"")).text)


looks = st.builds(
    Look,
    text=st.none() | st.integers(0, 255) | st.tuples(*[st.integers(0, 255)] * 3),
    under=st.none() | st.integers(0, 255),
    bold=st.booleans(),
    underline=st.booleans(),
    reverse=st.booleans(),
)


@given(looks)
def test_a_look_is_what_its_sequence_sets(look: Look) -> None:
    assert after(PLAIN, look.code()) == look


def test_a_colour_goes_on_over_the_end_of_a_line() -> None:
    first, second, third = lines(Intake(), b"\x1b[31mone\ntwo\x1b[0m\nthree")
    assert drawn(first.raw).runs == (Run("one", Look(text=1)),)
    assert drawn(second.raw).runs == (Run("two", Look(text=1)),)
    assert third.raw == b"three"


# Store


@given(st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")), max_size=60), st.integers(1, 7))
def test_a_line_is_found_by_its_number(raws: list[bytes], times: int) -> None:
    store = LogStore()
    kept = [Line(raw, number % 3, number, number * 2, Mark(number % 8)) for number, raw in enumerate(raws * times * 9)]
    store.append(kept)
    assert [store.line(number) for number in range(store.first, store.end)] == kept


def test_the_oldest_lines_go_and_the_others_keep_their_numbers() -> None:
    store = LogStore(most_lines=5_000)
    store.append(Line(b"%d" % number) for number in range(20_000))
    assert 5_000 <= len(store) <= 5_000 + 2 * 1024
    assert store.line(store.first).raw == b"%d" % store.first
    with pytest.raises(LookupError):
        store.line(store.first - 1)
    paper = Paper(book(store=store))
    assert paper.sheet(paper[0]).text.endswith(f"{store.first:,} earlier lines are not kept ─")


# Search


def test_words_expressions_and_lines_without() -> None:
    log = book("One", "two \x1b[31mre\x1b[0md", "on\rthree red", "four", "RED five")
    assert [*map(searched(log, "red").__getitem__, range(3))] == [1, 2, 4]
    assert len(searched(log, "RED")) == 1
    assert len(searched(log, "/^(one|f)/")) == 2
    assert len(searched(log, "!red")) == 2
    assert searched(log, "on\r").wanted.pattern is not None
    assert wanted("/(/").problem is not None
    assert wanted("").pattern is None


@given(
    st.lists(st.text(alphabet="ab \r", max_size=6), min_size=1, max_size=40),
    st.sampled_from(["a", "ab", "/a.b/", "!a", "/b$/"]),
)
def test_a_search_finds_what_is_shown_and_nothing_else(texts: list[str], words: str) -> None:
    log = book(*texts)
    found, what = searched(log, words), wanted(words)
    assert what.shown is not None
    by_eye = [
        number
        for number in range(log.store.end)
        if (what.shown.search(drawn(log.store.line(number).raw).text) is None) is what.without
    ]
    assert [found[place] for place in range(len(found))] == by_eye


def test_the_next_and_the_one_before_go_round() -> None:
    log = book(*("x" if number % 10 == 3 else "-" for number in range(50)))
    found = searched(log, "x")
    assert (found.beyond(3, 1), found.beyond(43, 1), found.beyond(3, -1), found.beyond(20, -1)) == (13, 3, 43, 13)
    assert found.has(13) and not found.has(14)


# Places


@given(st.integers(1, 60), st.integers(1, 12), st.lists(st.integers(-30, 30), max_size=20), st.booleans())
def test_moving_never_leaves_the_log_and_the_end_is_followed(
    count: int, page: int, steps: list[int], wrap: bool
) -> None:
    paper = Paper(book(*("word " * (number % 7) for number in range(count))))
    paper.arrange(Layout(width=9, wrap=wrap), None)
    place = at_end(paper, paper.height, page)
    for step in steps:
        place = moved(place, step, paper, paper.height, page)
        assert 0 <= paper.index(place.top) < len(paper)
        assert 0 <= place.row < paper.height(place.top)
        end = at_end(paper, paper.height, page)
        assert (place.top, place.row) <= (end.top, end.row)
    assert moved(place, 10_000, paper, paper.height, page) == at_end(paper, paper.height, page)
    assert moved(place, -10_000, paper, paper.height, page).top == 0


def test_a_pinned_place_stays_while_lines_come_and_the_oldest_go() -> None:
    log = book(*map(str, range(3_000)), store=LogStore(most_lines=2_000))
    paper = Paper(log)
    place = Place(2_500, 0, following=False)
    for number in range(3_000, 4_000):
        log.take([Piece(0, b"%d\n" % number)])
        paper.follow()
        assert settled(place, paper, paper.height, 20) == place
    shown = on(2_600, paper, paper.height, 21)
    assert shown.top == 2_593 and not shown.following


@given(st.text(alphabet="aé魚\U0001f600", max_size=80), st.integers(2, 20))
def test_rows_are_never_too_wide_and_lose_nothing(text: str, width: int) -> None:
    starts = row_starts(text, width)
    rows = [text[start:end] for start, end in zip(starts, (*starts[1:], len(text)), strict=True)]
    assert "".join(rows) == text
    assert all(sum(2 if ord(char) > 0x1000 else 1 for char in row) <= width for row in rows)


# Books


def test_gaps_that_the_platform_tells_are_counted() -> None:
    job = Origin("job", "1", "job 1")
    log = book("one", "[gap] 5 more bytes", "[late] so", "x [gap] no", origins=(job,))
    assert log.gaps == 1
    assert [Mark.GAP in log.store.line(number).mark for number in range(4)] == [False, True, True, False]
    assert book("[gap] I say").gaps == 0


def test_what_came_at_once_is_in_the_order_of_its_own_times() -> None:
    log = Logbook((APP, OTHER))
    log.take([Piece(0, b"a\nb\n", 50, 10), Piece(1, b"c\n", 50, 5), Piece(1, b"d", 50, 20), Piece(0, note="lost")])
    paper = Paper(log)
    paper.arrange(Layout(stamps=Stamps.OWN), None)
    assert [paper.sheet(paper[index]).text for index in range(len(paper))] == [
        "00:00:00.005 app 20002        c",
        "00:00:00.010 app 20001        a",
        "00:00:00.010 app 20001        b",
        "--:--:--.--- app 20001        ─ lost ─",
        "00:00:00.020 app 20002        d",
    ]


def test_a_saved_log_is_plain_whole_and_nobody_elses(tmp_path: Path) -> None:
    log = book("\x1b[31mred\x1b[0m", "x" * (LONGEST + 5))
    path, count = save(tmp_path / "logs", log, log.store.copy(), range(log.store.end), Stamps.OFF)
    assert path.read_text() == "red\n" + "x" * (LONGEST + 5) + "\n" and count == 3
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again, _ = save(tmp_path / "logs", log, log.store.copy(), range(1), Stamps.OFF)
    assert again != path
