"""The newest bytes of followed logs."""

from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.services.logtails import Tails


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)), max_size=30))
def test_whatever_is_added_what_is_read_is_the_log(log: bytes, pieces: list[tuple[int, int]]) -> None:
    tails, newest = Tails(), 0
    for start, size in pieces:
        data = log[start : start + size]
        if data:
            tails.add("job", start, data)
            newest = max(newest, start + len(data))
        for offset in range(len(log) + 1):
            found = tails.read("job", offset)
            assert found == log[offset : offset + len(found)]
            assert not found or offset + len(found) == newest == tails.end("job")
    tails.drop("job")
    assert tails.read("job", 0) == b"" and tails.end("job") is None


def test_only_the_last_half_mib_is_held() -> None:
    tails = Tails()
    for number in range(5):
        tails.add("job", number * 200_000, bytes([number]) * 200_000)
    assert tails.read("job", 0) == b"" and tails.end("job") == 1_000_000
    assert len(tails.read("job", 1_000_000 - 512 * 1024)) == 512 * 1024
