"""The cursor of a live table: it names an object, never a row. Pure.

Rows come, go and change places under it. A cursor whose object left the table points at nothing (`gone`), and stays
so until the operator chooses anew: an action never slides over to a neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass


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


def settle(cursor: Cursor, keys: Sequence[str]) -> Cursor:
    """The cursor after the rows changed. The first rows ever shown select the first of them."""
    if cursor.key is None:
        return Cursor(keys[0], 0) if keys else cursor
    if 0 <= cursor.row < len(keys) and keys[cursor.row] == cursor.key:
        return Cursor(cursor.key, cursor.row)
    try:
        return Cursor(cursor.key, keys.index(cursor.key))
    except ValueError:
        return Cursor(cursor.key, max(0, min(cursor.row, len(keys) - 1)), gone=True)


def step(cursor: Cursor, keys: Sequence[str], rows: int) -> Cursor:
    """The cursor moved by the operator; from a vanished object the first step lands on the row at its place."""
    if not keys:
        return cursor
    start = cursor.row
    if cursor.gone:
        rows -= (rows > 0) - (rows < 0)
    return place(keys, start + rows)


def place(keys: Sequence[str], row: int) -> Cursor:
    """The cursor on the nearest row there is."""
    if not keys:
        return Cursor()
    row = max(0, min(row, len(keys) - 1))
    return Cursor(keys[row], row)
