"""Finding by a few letters."""

from hypothesis import given
from hypothesis import strategies as st

from console.live.fuzzy import best

NAMES = ("cancel job", "cordon node", "node rt-node-01", "node rt-node-02", "job 7c1e09aa 20001", "recover")


def found(typed: str, most: int = 10) -> list[str]:
    return list(best(typed, NAMES, str, most))


def test_words_as_they_are_come_before_letters() -> None:
    assert found("node-02") == ["node rt-node-02"]
    assert found("co")[:2] == ["cordon node", "recover"], "the beginning of a word before the middle of one"
    assert found("cj") == ["cancel job"]
    assert found("node 01") == ["node rt-node-01", *found("node 01")[1:]]
    assert found("") == list(NAMES) and found("", 2) == list(NAMES[:2])
    assert found("zzz") == []


def test_what_looks_like_an_expression_is_letters() -> None:
    assert list(best(".*[", ["a", ".x*y["], str, 5)) == [".x*y["]


@given(st.text(max_size=12), st.lists(st.text(max_size=20).map(str.casefold), max_size=30), st.integers(1, 5))
def test_never_more_than_asked_and_only_what_is_there(typed: str, names: list[str], most: int) -> None:
    hits = best(typed, names, str, most)
    assert len(hits) <= most and set(hits) <= set(names)
    for hit in hits:
        for word in typed.casefold().split():
            rest = iter(hit)
            assert all(letter in rest for letter in word)
