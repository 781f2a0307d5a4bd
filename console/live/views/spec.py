"""What a table is made of. Pure.

A view says how one object becomes cells; which objects are shown, and in which order, is `console.live.table`'s work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.keyed import Keyed
from console.live.model import Model, Scene
from protocol.base import Wire

T = TypeVar("T", bound=Wire)
#: What a column is sorted by: unknown comes last, then numbers or texts; one column never mixes the two.
Rank = tuple[bool, float | str]
NO_RANK: Final[Rank] = (True, 0.0)


@dataclass(frozen=True)
class Field(Generic[T]):
    """One column: its name in filters, sort orders and CSV headers; its cell; what it is sorted by.

    `plain` is the cell without its sign, for filters and programs. `ticks`: it changes as time goes by, without events.
    """

    name: str
    column: Column
    cell: Callable[[T, Scene], Cell]
    rank: Callable[[T, Scene], Rank]
    plain: Callable[[T, Scene], str] | None = None
    ticks: bool = False

    def text(self, value: T, scene: Scene) -> str:
        """The cell in plain words."""
        return self.cell(value, scene).text if self.plain is None else self.plain(value, scene)


@dataclass(frozen=True)
class ViewSpec(Generic[T]):
    """One table. `words` is what a filter without a field searches: cheap, for it is asked of every object.

    `order`: the field it is sorted by at first. `joined`: rows say something of other objects too, so a change of any
    may change them: `touched` says which, by their ids, when one model follows another (None: all), and without it all
    are read again. `alone`: a cell that does not tick says what its own object says, and nothing else. `sheet`: the few
    lines about one object. `findable`: its rows are objects that one looks for.
    """

    name: str
    title: str
    objects: Callable[[Model], Keyed[T]]
    fields: tuple[Field[T], ...]
    order: str
    words: Callable[[T, Scene], str]
    sheet: Callable[[T, Scene], tuple[str, ...]]
    empty: str
    joined: bool = False
    alone: bool = False
    findable: bool = True
    touched: Callable[[Model, Model], frozenset[str] | None] | None = None

    def field(self, name: str) -> Field[T] | None:
        """The column of that name."""
        return next((each for each in self.fields if each.name == name), None)


def by_text(text: str | None) -> Rank:
    """Sorted as text, whatever the case; nothing comes last."""
    return (False, text.casefold()) if text else (True, "")


def by_number(number: float | None) -> Rank:
    """Sorted as a number; unknown comes last."""
    return NO_RANK if number is None else (False, float(number))


def worded(name: str, column: Column, text: Callable[[T], str | None], tone: Tone = Tone.PLAIN) -> Field[T]:
    """A column of text."""
    return Field(name, column, lambda value, _: cell(text(value), tone), lambda value, _: by_text(text(value)))


def counted(name: str, column: Column, number: Callable[[T], int | None]) -> Field[T]:
    """A column of whole numbers."""
    return Field(
        name,
        column,
        lambda value, _: Cell("–", Tone.QUIET) if number(value) is None else Cell(f"{number(value)}"),
        lambda value, _: by_number(number(value)),
    )


def aged(name: str, column: Column, moment: Callable[[T], datetime | None]) -> Field[T]:
    """A column of how long ago something was; what was last comes first."""

    def rank(value: T, _: Scene) -> Rank:
        at = moment(value)
        return by_number(-at.timestamp() if at else None)

    def shown(value: T, scene: Scene) -> Cell:
        return Cell(span(seconds_between(scene.now, moment(value))), Tone.QUIET)

    return Field(name, column, shown, rank, ticks=True)


def signed(name: str, column: Column, state: Callable[[T], Cell]) -> Field[T]:
    """A column of states with a sign before the word; filters and programs see the word alone."""
    return Field(
        name,
        column,
        lambda value, _: state(value),
        lambda value, _: by_text(state(value).text.partition(" ")[2]),
        lambda value, _: state(value).text.partition(" ")[2],
    )
