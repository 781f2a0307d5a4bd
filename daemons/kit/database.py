"""What a database driver is, and how a database fails: the words that `sql`, `mysql` and `sqlite` share."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

Value = str | int | float | bytes | None
Values = Mapping[str, Value | Sequence[str] | Sequence[int]]
Row = Mapping[str, Any]


class Lane(Enum):
    """Which connections a transaction may use: those of everybody, or the few that are kept for what must not wait."""

    COMMON = "common"
    URGENT = "urgent"


class DatabaseUnavailable(Exception):
    """The database does not answer or cannot take the change; nothing was changed."""


class ConnectionLost(DatabaseUnavailable):
    """The connection broke before the commit: nothing was changed, and a new connection may work."""


class CommitUnknown(DatabaseUnavailable):
    """The commit failed on the way: the change may or may not have happened."""


class DatabaseMisconfigured(Exception):
    """The database's address, settings or schema must be mended before this program can use it."""


class Conflicted(Exception):
    """Deadlock or lock timeout: the transaction has to be rolled back and may be run again."""


class Duplicate(Exception):
    """A unique index refused the row; the transaction goes on without it."""


class StatementFailed(Exception):
    """The database refused a statement for a reason that trying again does not mend: a defect of ours."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: its rows, how many rows it changed, the number it generated."""

    rows: Sequence[Row] = ()
    changed: int = 0
    generated: int = 0


class Connection(Protocol):
    """One connection for the duration of one transaction. Every call ends at the transaction's deadline."""

    async def begin(self) -> None:
        """Begin a transaction that may write."""
        ...

    async def execute(self, statement: str, values: Mapping[str, Value] | None = None) -> Result:
        """Run one statement in the driver's own parameter style. Raises every exception of this module."""
        ...

    async def commit(self) -> None:
        """Make the transaction durable. Raises Conflicted, or CommitUnknown when nobody knows how it ended."""
        ...

    async def abandon(self) -> None:
        """Undo the transaction, whatever state it is in; raises nothing."""
        ...


class Driver(Protocol):
    """One kind of database."""

    dialect: str
    clock: str

    async def start(self) -> None:
        """Connect and check the server's settings. Raises DatabaseUnavailable, DatabaseMisconfigured."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def placeholders(self, statement: str) -> str:
        """The statement with `:name` parameters in the driver's own style."""
        ...

    def connection(self, deadline: float, lane: Lane = Lane.COMMON) -> AbstractAsyncContextManager[Connection]:
        """A connection of the lane's bounded pool, to be used until `deadline` on the event loop's clock."""
        ...

    def migrating(self) -> AbstractAsyncContextManager[Connection]:
        """A connection that holds the schema lock of this database and has time for long statements."""
        ...


def refuse_late_commit(now: float, deadline: float) -> None:
    """Raises DatabaseUnavailable when nobody could wait for the answer to a COMMIT any more: better not to send it."""
    if now >= deadline:
        raise DatabaseUnavailable("the transaction took too long and was undone; try again later")


#: Looks into a new connection before anybody may use it. Raises DatabaseUnavailable to refuse it.
Guard = Callable[[Connection], Awaitable[None]]

#: A quoted text, or a named parameter in group 1.
PARAMETER: Final = re.compile(r"'(?:[^']|'')*'|(?<![\w:]):([a-z_][a-z0-9_]*)")
