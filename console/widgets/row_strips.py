"""Cells as a line of a terminal: each in its column, in its colour, in exactly so many cells."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from console.live.cells import Cell, Column, sized

#: Blanks between two columns.
GAP: Final = 2


def spans(rooms: Sequence[tuple[int, int]], left: int) -> Iterator[tuple[int, int, int]]:
    """Each column with where it begins and how many cells it has; the first begins at `left`."""
    for index, room in rooms:
        yield index, left, room
        left += room + GAP


class RowStrips:
    """Styles are looked up once, until they are forgotten: looking one up costs more than drawing a line with it."""

    def __init__(self, look_up: Callable[[str], Style]) -> None:
        self._look_up = look_up
        self._styles: dict[str, Style] = {}

    def forget(self) -> None:
        """The sheet of styles, or what it says of the widget, changed."""
        self._styles.clear()

    def style(self, name: str) -> Style:
        """The style of that name; the empty name is the widget's own."""
        found = self._styles.get(name)
        if found is None:
            found = self._styles[name] = self._look_up(name)
        return found

    def strip(
        self,
        gutter: str,
        cells: Sequence[Cell],
        columns: Sequence[Column],
        rooms: Sequence[tuple[int, int]],
        over: str | None = None,
    ) -> Strip:
        """One row; `rooms` say which column has how many cells, `over` is a style laid over all of it."""
        base, above = self.style(""), self.style(over) if over else None
        under = base + above if above else base
        gap = Segment(" " * GAP, under)
        segments = [Segment(gutter, under)]
        for number, (index, room) in enumerate(rooms):
            if number:
                segments.append(gap)
            shown = cells[index]
            tone = base + self.style(shown.tone.value)
            style = tone + above if above else tone
            segments.append(Segment(sized(shown.text, room, columns[index].right), style))
        return Strip(segments)
