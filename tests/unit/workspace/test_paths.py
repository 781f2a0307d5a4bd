"""Which paths may be named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.workspace.domain.paths import PathRefused, joined, named_parts, parts_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("/", ()),
        (".", ()),
        ("/src//a.ts", ("src", "a.ts")),
        ("src\\a.ts", ("src", "a.ts")),
        ("./a/./b/", ("a", "b")),
        ("..a/b..", ("..a", "b..")),
        ("%2e%2e/a", ("%2e%2e", "a")),
        ("ä" * 127, ("ä" * 127,)),
    ],
)
def test_a_path_becomes_its_names(text: str, parts: tuple[str, ...]) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    "text", ["..", "a/..", "../a", "a\\..\\b", "\0", "a\0b", "ä" * 128, "a/" * 2048, "\ud800", "/../.."]
)
def test_a_path_that_may_not_be_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(PathRefused) as refused:
        parts_of(text)
    assert len(str(refused.value)) < 80


def test_the_app_itself_is_no_name() -> None:
    with pytest.raises(PathRefused):
        named_parts("/./")


@given(st.text(alphabet=st.sampled_from(list("ab./\\\0")) | st.characters(), max_size=40))
def test_no_text_becomes_a_path_that_climbs(text: str) -> None:
    try:
        parts = parts_of(text)
    except PathRefused:
        return
    assert not {"", ".", ".."} & set(parts) and not any(set("/\\\0") & set(part) for part in parts)
    assert parts_of(joined(parts)) == parts
