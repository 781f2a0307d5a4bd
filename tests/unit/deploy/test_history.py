"""Which database server may be used."""

from daemons.deploy.domain.history import Found, Memory, objection, remembered

MEMORY = Memory(epoch=3, newest=100)


def test_the_server_that_has_the_history_may_be_used() -> None:
    assert objection(MEMORY, Found("id:1", "id:1", 3, 100)) is None
    assert objection(Memory(), Found("id:1", "id:1", 3, 100)) is None


def test_a_server_that_was_not_confirmed_is_refused() -> None:
    assert "not confirmed as the successor of id:1" in (objection(MEMORY, Found("id:2", "id:1", 3, 100)) or "")


def test_an_older_epoch_is_refused() -> None:
    assert "old primary" in (objection(MEMORY, Found("id:1", "id:1", 2, 500)) or "")


def test_a_history_that_ends_too_early_is_refused_under_the_same_epoch_only() -> None:
    assert "ends at event 99" in (objection(MEMORY, Found("id:1", "id:1", 3, 99)) or "")
    assert objection(MEMORY, Found("id:2", "id:2", 4, 99)) is None


def test_an_empty_log_says_nothing() -> None:
    """Old events are deleted."""
    assert objection(MEMORY, Found("id:1", "id:1", 3, 0)) is None


def test_a_new_epoch_begins_a_new_memory() -> None:
    assert remembered(MEMORY, Found("id:2", "id:2", 4, 99)) == Memory(4, 99)
    assert remembered(MEMORY, Found("id:1", "id:1", 3, 50)) == MEMORY
    assert remembered(MEMORY, Found("id:1", "id:1", 3, 150)) == Memory(3, 150)
