"""Which folders belong to apps that are gone, and when a list of apps is not believed."""

import pytest

from daemons.workspace.domain.leavings import (
    Leaving,
    NothingExists,
    TooManyOrphans,
    app_of,
    aside_name,
    believe,
    existing,
    is_former,
    of_app,
    orphans,
)
from daemons.workspace.domain.runs import read_log_name, superfluous

HOUR = 3_600_000
NOW = 1000 * HOUR


def _apps(*names: str, at_ms: int = 0) -> list[Leaving]:
    return [Leaving(name, at_ms) for name in names]


@pytest.mark.parametrize(
    ("name", "app_id", "former"),
    [
        ("5", "5", False),
        ("5.deleted-1767323045678", "5", True),
        ("5.replaced-1767323045678", "5", True),
        ("my-app.deleted-1", "my-app", True),
        ("5.deleted-", "5.deleted-", False),
        ("notes.old", "notes.old", False),
    ],
)
def test_an_entry_belongs_to_the_app_in_its_name(name: str, app_id: str, former: bool) -> None:
    assert (app_of(name), is_former(name)) == (app_id, former)


def test_what_is_put_aside_is_found_again() -> None:
    assert of_app(_apps("5", aside_name("5", 17), "51.deleted-17", "6"), "5") == ("5.deleted-17",)


def test_only_numbered_apps_that_are_older_than_the_list_are_orphans() -> None:
    known = existing(["5"], None, NOW, confirmed=False)
    old = _apps("5", "6", "6.deleted-1", "5.deleted-1", "notes", "007", "0")
    assert [each.name for each in orphans(old, known)] == ["6", "6.deleted-1"]
    assert orphans(_apps("6", at_ms=NOW - HOUR), known) == ()
    assert len(orphans(_apps("6", at_ms=NOW - HOUR - 1), known)) == 1


def test_a_list_from_the_future_is_as_old_as_now() -> None:
    known = existing(["5"], NOW * 9, NOW, confirmed=False)
    assert orphans(_apps("6", at_ms=NOW), known) == () and len(orphans(_apps("6", at_ms=NOW - 1), known)) == 1


def test_an_empty_list_wants_a_word() -> None:
    with pytest.raises(NothingExists):
        existing([], None, NOW, confirmed=False)
    assert len(orphans(_apps("6"), existing([], None, NOW, confirmed=True))) == 1


def _many(count: int, gone: int) -> list[tuple[list[Leaving], list[Leaving]]]:
    """Users with one app each, of which so many are gone."""
    return [(_apps("1"), _apps("1") if number < gone else []) for number in range(count)]


def test_a_list_that_leaves_out_more_than_half_is_not_believed() -> None:
    believe(_many(100, 50), confirmed=False)
    with pytest.raises(TooManyOrphans, match="51 of the 100"):
        believe(_many(100, 51), confirmed=False)
    believe(_many(100, 100), confirmed=True)
    believe(_many(20, 20), confirmed=False)


def test_one_user_who_makes_many_folders_decides_nothing() -> None:
    """Neither that nothing is cleaned, nor that more is."""
    fake = _apps(*(str(number) for number in range(1, 5000)))
    believe([(fake, fake)], confirmed=False)
    named = _apps(*(f"x{number}" for number in range(5000)))
    with pytest.raises(TooManyOrphans):
        believe([*_many(100, 80), (named, [])], confirmed=False)


def test_the_names_of_logs_are_read_whole() -> None:
    found = read_log_name("run-build-my-own-app-17.log")
    assert found is not None and (found.kind, found.app_id, found.at_ms) == ("build", "my-own-app", 17)
    assert [read_log_name(name) for name in ("run-build-5.log", "dev.log", "run-dev-5-x.log", "x-dev-5-1.log")] == [
        None
    ] * 4
    assert superfluous(("run-dev-a-b-1.log", "run-dev-c-2.log"), 1) == ("run-dev-a-b-1.log",)
