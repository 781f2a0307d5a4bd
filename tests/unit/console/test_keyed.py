"""A collection that knows what changed, and what is worked out of it, against plain dictionaries."""

from hypothesis import given
from hypothesis import strategies as st

from console.live import keyed
from console.live.fold import Fold
from console.live.keyed import Keyed

KEYS = st.sampled_from([f"k{number}" for number in range(12)])
BATCHES = st.lists(st.tuples(st.dictionaries(KEYS, st.integers(0, 5)), st.sets(KEYS, max_size=4)), max_size=90)


@given(st.dictionaries(KEYS, st.integers(0, 5)), BATCHES, st.integers(1, 70))
def test_it_holds_what_a_dictionary_would(
    first: dict[str, int], batches: list[tuple[dict[str, int], set[str]]], look: int
) -> None:
    sums = Fold[int, int](
        lambda values: sum(values), lambda known, pairs: known + sum((now or 0) - (was or 0) for was, now in pairs)
    )
    versions, truth = [Keyed(dict(first))], [dict(first)]
    for number, (put, gone) in enumerate(batches):
        versions.append(versions[-1].changed(put, gone))
        truth.append({key: value for key, value in {**truth[-1], **put}.items() if key not in gone})
        if number % look == 0:
            assert sums(versions[-1]) == sum(truth[-1].values())
            assert dict(versions[-1].items()) == truth[-1]
    for found, wanted in zip(versions, truth, strict=True):
        assert len(found) == len(wanted)
        assert {key: found.get(key) for key in (f"k{number}" for number in range(13))} == {
            key: wanted.get(key) for key in (f"k{number}" for number in range(13))
        }
        assert dict(found.items()) == dict(zip(found, found.values(), strict=True)) == wanted
    assert sums(versions[-1]) == sum(truth[-1].values())


@given(BATCHES)
def test_it_tells_what_changed_since_a_version(batches: list[tuple[dict[str, int], set[str]]]) -> None:
    versions = [Keyed[int]()]
    for put, gone in batches:
        versions.append(versions[-1].changed(put, gone))
    last = versions[-1]
    for each in versions:
        told = last.since(each.version)
        differ = {key for key in {*each, *last} if each.get(key) != last.get(key)}
        assert told is None or differ <= told
        assert told is not None or last.version - each.version > 60


def test_many_changes_are_taken_into_the_base() -> None:
    found = Keyed({str(number): number for number in range(5000)})
    for turn in range(80):
        found = found.changed({str(turn * 40 + step): -1 for step in range(40)}, [str(4999 - turn)])
        assert len(found) == 5000 - turn - 1
    assert found._top is None or len(found._top.put) <= keyed._MOST_ON_TOP
    assert sum(value == -1 for value in found.values()) == 3200


def test_another_collection_is_worked_out_by_itself() -> None:
    size = Fold[int, int](lambda values: len(list(values)), lambda known, pairs: known + len(list(pairs)))
    one, other = Keyed({"a": 1}), Keyed({"a": 1, "b": 2})
    assert (size(one), size(other), size(one)) == (1, 2, 1)
