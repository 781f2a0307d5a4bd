"""The cursor and the marks of a live table: they name objects, never rows. Pure.

Rows come, go and change places under them. A cursor whose object left the table points at nothing (`gone`), and stays
so until the operator chooses anew: an action never slides over to a neighbour. Enter after a filter is such a choice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol


class Rows(Protocol):
    """The rows of a table, as far as a cursor moves among them."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def key(self, row: int) -> str:
        """The key of a row from 0 on."""
        ...

    def row_of(self, key: str) -> int | None:
        """Where a key is; None when it is not shown."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """`key` is the chosen object, `row` where it is or, when `gone`, where it last was."""

    key: str | None = None
    row: int = 0
    gone: bool = False

    @property
    def target(self) -> str | None:
        """The object that actions are meant for; None when there is none."""
        return None if self.gone else self.key


def settle(cursor: Cursor, rows: Rows, at: int | None = None) -> Cursor:
    """The cursor after the rows changed. The first rows ever shown select the first of them.

    `at`: the row before which a vanished object stood; by default the one where the cursor was.
    """
    if cursor.key is None:
        return Cursor(rows.key(0), 0) if len(rows) else cursor
    row = rows.row_of(cursor.key)
    if row is None:
        return Cursor(cursor.key, max(0, min(cursor.row if at is None else at, len(rows))), gone=True)
    return Cursor(cursor.key, row)


def step(cursor: Cursor, rows: Rows, by: int) -> Cursor:
    """The cursor moved by the operator; a vanished object still has a line of its own, before the row at its place."""
    if not len(rows) or not by:
        return cursor
    if cursor.gone and by > 0:
        by -= 1
    return place(rows, cursor.row + by)


def place(rows: Rows, row: int) -> Cursor:
    """The cursor on the nearest row there is."""
    if not len(rows):
        return Cursor()
    row = max(0, min(row, len(rows) - 1))
    return Cursor(rows.key(row), row)


def found(cursor: Cursor, rows: Rows) -> Cursor:
    """The cursor when the operator has typed a filter and is done with it: on the first row when the filter hides the
    chosen object. It stays where its object is shown, and where nothing is."""
    return place(rows, 0) if cursor.gone and len(rows) else cursor


@dataclass(frozen=True, slots=True)
class Marks:
    """The objects that an action is meant for together; `last` is where a range begins."""

    keys: frozenset[str] = frozenset()
    last: str | None = None

    def toggled(self, key: str) -> "Marks":
        """With a key marked that was not, or the other way round."""
        return Marks(self.keys - {key} if key in self.keys else self.keys | {key}, key)

    def ranged(self, rows: Rows, key: str) -> "Marks":
        """With every row marked from the last one marked to this one; without such a row, this one alone."""
        start, end = (rows.row_of(self.last) if self.last else None), rows.row_of(key)
        if end is None:
            return self
        low, high = sorted((end if start is None else start, end))
        return Marks(self.keys.union(rows.key(row) for row in range(low, high + 1)), key)

    def without(self, gone: Iterable[str]) -> "Marks":
        """With the marks of objects that are no more taken away."""
        left = self.keys.difference(gone)
        return self if len(left) == len(self.keys) else replace(self, keys=left)

    def hidden(self, rows: Rows) -> frozenset[str]:
        """Marked objects that the table does not show now."""
        return frozenset(key for key in self.keys if rows.row_of(key) is None)
