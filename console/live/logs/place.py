"""Where in a log the operator is. Pure.

A place is the number of the line at the top and a row inside it, for a wrapped line has several. Numbers are for good,
so what comes, goes or is laid out anew moves nobody who does not follow the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol


class Shelf(Protocol):
    """The lines that are shown, in order: all, or those that a search found."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: int) -> int:
        """The number of the line at this place."""
        ...

    def index(self, number: int) -> int:
        """The place of this line, or of the first one after it."""
        ...


Height = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Place:
    """The line at the top, the row of it that is the first one in view, and whether the end is followed."""

    top: int = 0
    row: int = 0
    following: bool = True


def at_end(shelf: Shelf, height: Height, page: int) -> Place:
    """The last page."""
    index, rows = len(shelf), 0
    while index > 0 and rows < page:
        index -= 1
        rows += height(shelf[index])
    return Place(shelf[index] if len(shelf) else 0, max(0, rows - page), following=True)


def settled(place: Place, shelf: Shelf, height: Height, page: int) -> Place:
    """The place after lines came or went, or after they were laid out anew."""
    if place.following or not len(shelf):
        return replace(at_end(shelf, height, page), following=place.following)
    index = min(shelf.index(place.top), len(shelf) - 1)
    top = shelf[index]
    row = min(place.row, height(top) - 1) if top == place.top else 0
    return _pulled(Place(top, row, following=False), shelf, height, page)


def moved(place: Place, rows: int, shelf: Shelf, height: Height, page: int) -> Place:
    """The place so many rows further down (or up). Who comes to the end follows it; who goes up stays there."""
    if not len(shelf):
        return place
    index, row = min(shelf.index(place.top), len(shelf) - 1), place.row + rows
    while row < 0 and index > 0:
        index -= 1
        row += height(shelf[index])
    while index < len(shelf) - 1 and row >= (tall := height(shelf[index])):
        index, row = index + 1, row - tall
    found = Place(shelf[index], max(0, min(row, height(shelf[index]) - 1)), following=False)
    pulled = _pulled(found, shelf, height, page)
    end = at_end(shelf, height, page)
    return replace(pulled, following=rows >= 0 and (pulled.top, pulled.row) == (end.top, end.row))


def on(number: int, shelf: Shelf, height: Height, page: int) -> Place:
    """A place that shows this line a third below the top, as far as there are lines."""
    index = shelf.index(number)
    if index >= len(shelf):
        return at_end(shelf, height, page)
    found = moved(Place(shelf[index], 0, following=False), -(page // 3), shelf, height, page)
    return replace(found, following=False)


def _pulled(place: Place, shelf: Shelf, height: Height, page: int) -> Place:
    """Not beyond the last page."""
    end = at_end(shelf, height, page)
    return replace(end, following=place.following) if (place.top, place.row) > (end.top, end.row) else place
