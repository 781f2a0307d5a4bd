"""Which database server may be used."""

from collections.abc import Mapping

import pytest

from daemons.deploy.adapters.history import History
from daemons.deploy.domain.history import Found, Memory, objection, remembered
from daemons.kit.database import DatabaseUnavailable, Result, Value

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


class Server:
    """A connection to a server whose newest event is `newest`; `meanwhile` is committed while it answers."""

    def __init__(self, newest: int, history: History, meanwhile: int = 0) -> None:
        self._newest = newest
        self._history = history
        self._meanwhile = meanwhile

    async def begin(self) -> None:
        """Nothing."""

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        """The history's row, then the server's identity."""
        if statement.startswith("SHOW"):
            self._history.committed(self._meanwhile)
            return Result([{"Variable_name": "server_id", "Value": "1"}])
        return Result([{"epoch": 1, "server": "id:1", "newest": self._newest}])

    async def commit(self) -> None:
        """Nothing."""

    async def abandon(self) -> None:
        """Nothing."""


async def test_what_is_committed_while_the_server_answers_is_not_missing_there() -> None:
    history = History()
    await history.admit(Server(100, history))
    await history.admit(Server(100, history, meanwhile=101))
    with pytest.raises(DatabaseUnavailable, match="ends at event 100 and this replica has committed event 101"):
        await history.admit(Server(100, history))
