"""Hostile text: nothing that moves a terminal passes, however it is cut into chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.live.plain import PlainText, line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain\n", "plain\n"),
        (b"\x1b[1;32mgreen\x1b[0m", "green"),
        (b"\x1b]0;a title\x07after", "after"),
        (b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1$r0m\x1b\\x", "x"),
        (b"a\x1b(Bb\x1bcd", "abd"),
        (b"10 %\r20 %\r\n", "10 %\n20 %\n"),
        (b"bell\x07 null\x00 back\x08", "bell null back"),
        ("\u9b5a\u202etxt\u200b".encode(), "\u9b5atxt"),
        (b"\xc2\x9b2Jx\xc2\x85", "x"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"tab\there", "tab\there"),
        (b"end\x1b[", "end["),
    ],
)
def test_only_text_passes(raw: bytes, shown: str) -> None:
    whole = PlainText()
    assert whole.feed(raw, last=True) == shown


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\x1b[2J", b"\x1b]0;t\x07", "\u00e9".encode(), b"\r\n"])))
def test_cutting_a_stream_changes_nothing_but_unfinished_sequences(chunks: list[bytes]) -> None:
    plain = PlainText()
    shown = "".join(plain.feed(chunk) for chunk in chunks) + plain.feed(b"", last=True)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    assert "\x1b" not in shown and "\x9b" not in shown


def test_a_sequence_in_two_chunks_is_one_sequence() -> None:
    plain = PlainText()
    assert [plain.feed(b"a\x1b[3"), plain.feed(b"1mb"), plain.feed(b"\xe2\x82"), plain.feed(b"\xac", last=True)] == [
        "a",
        "b",
        "",
        "\u20ac",
    ]


def test_an_endless_sequence_does_not_hold_the_log_back() -> None:
    plain = PlainText()
    shown = plain.feed(b"\x1b]0;" + b"x" * 10_000)
    assert len(shown) + len(plain.feed(b"", last=True)) > 9_000


def test_a_line_is_one_line() -> None:
    assert line("a\r\n\tb \x1b[31mc\x1b[0m") == "a b c"
    assert len(line("x" * 10_000)) == 2_000
