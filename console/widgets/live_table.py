"""A table of live objects: repaints the lines that changed, and its cursor stays on its object.

Drawn line by line (Textual's Line API): one changed cell costs one line, whatever the number of rows.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.live.cells import Cell, Column, Row, Tone, fit
from console.live.cursor import Cursor, place, settle, step
from console.messages import RowOpened, RowSelected

_HEADER_LINES: Final = 1
_GUTTER: Final = 2
_MARK: Final = "▸ "


class LiveTable(ScrollView, can_focus=True):
    """Rows are given whole with `show`; what did not change is not painted again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "live-table--header",
        "live-table--cursor",
        *(f"live-table--{tone.value}" for tone in Tone),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Row up", show=False),
        Binding("down,j", "step(1)", "Row down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First row", show=False),
        Binding("end,G", "edge(1)", "Last row", show=False),
        Binding("enter", "open", "Look into it", show=False),
    ]

    def __init__(self, columns: tuple[Column, ...], empty: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = Cursor()
        self._columns = columns
        self._empty = empty
        self._rows: tuple[Row, ...] = ()
        self._keys: tuple[str, ...] = ()

    def show(self, rows: Sequence[Row], empty: str | None = None) -> None:
        """Show these rows; the cursor follows its key, and the view follows the cursor unless it is at the top."""
        before, old = self.cursor, self._rows
        self._rows = tuple(rows)
        self._keys = tuple(row.key for row in rows)
        self.cursor = settle(before, self._keys)
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.refresh()
        if len(old) != len(self._rows):
            self.virtual_size = Size(1, len(self._rows) + _HEADER_LINES)
            self.refresh()
        self._keep_in_view(before)
        self._repaint(old, before)
        if self.cursor.target != before.target:
            self.post_message(RowSelected(self.cursor.target))

    def _keep_in_view(self, before: Cursor) -> None:
        moved = self.cursor.row - before.row
        if moved and self.cursor.key == before.key and not self.cursor.gone:
            top = round(self.scroll_y)
            if top > 0:
                self.scroll_to(y=max(0, top + moved), animate=False)
            else:
                self._reveal()

    def _repaint(self, old: tuple[Row, ...], before: Cursor) -> None:
        top, width = self.scroll_offset.y, self.size.width
        for line in range(self._page()):
            index = top + line
            was = old[index] if index < len(old) else None
            now = self._rows[index] if index < len(self._rows) else None
            marked = (index == before.row and not before.gone) != (index == self.cursor.row and not self.cursor.gone)
            if was != now or marked:
                self.refresh(Region(0, line + _HEADER_LINES, width, 1))

    def _page(self) -> int:
        return max(1, self.size.height - _HEADER_LINES)

    def _move(self, cursor: Cursor) -> None:
        before, self.cursor = self.cursor, cursor
        self._repaint(self._rows, before)
        self._reveal()
        if cursor.target != before.target:
            self.post_message(RowSelected(cursor.target))

    def _reveal(self) -> None:
        top, row = self.scroll_offset.y, self.cursor.row
        if row < top:
            self.scroll_to(y=row, animate=False)
        elif row >= top + self._page():
            self.scroll_to(y=row - self._page() + 1, animate=False)

    def action_step(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move(step(self.cursor, self._keys, rows))

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._move(step(self.cursor, self._keys, pages * self._page()))

    def action_edge(self, last: int) -> None:
        """Move the cursor to the first or last row."""
        if self._keys:
            self._move(place(self._keys, len(self._keys) - 1 if last else 0))

    def action_open(self) -> None:
        """Look into the selected object."""
        if self.cursor.target is not None:
            self.post_message(RowOpened())

    def on_resize(self) -> None:
        """Less room must not hide the selected object."""
        if not self.cursor.gone:
            self._reveal()

    def on_click(self, event: events.Click) -> None:
        """Select the clicked row; a double click looks into it."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < _HEADER_LINES:
            return
        row = offset.y - _HEADER_LINES + self.scroll_offset.y
        if row < len(self._keys):
            self._move(place(self._keys, row))
            if event.chain == 2:
                self.action_open()

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the header, or a row."""
        width = self.size.width
        base = self.rich_style
        if y == 0:
            titles = tuple(Cell(column.title) for column in self._columns)
            return self._strip(titles, "  ", self.get_component_rich_style("live-table--header"), None, width)
        index = self.scroll_offset.y + y - _HEADER_LINES
        if not self._rows and y == 2:
            return Strip([Segment(set_cell_size(f"  {self._empty}", width), base)], width)
        if index >= len(self._rows):
            return Strip.blank(width, base)
        chosen = index == self.cursor.row and not self.cursor.gone
        over = self.get_component_rich_style("live-table--cursor", partial=True) if chosen else None
        return self._strip(self._rows[index].cells, _MARK if chosen else "  ", base, over, width)

    def _strip(self, cells: tuple[Cell, ...], gutter: str, base: Style, over: Style | None, width: int) -> Strip:
        under = base + over if over else base
        segments = [Segment(gutter, under)]
        for number, (index, room) in enumerate(fit(self._columns, width - _GUTTER - 1)):
            if number:
                segments.append(Segment("  ", under))
            shown = cells[index]
            tone = self.get_component_rich_style(f"live-table--{shown.tone.value}", partial=True)
            style = base + tone + over if over else base + tone
            segments.append(Segment(_sized(shown.text, room, self._columns[index].right), style))
        return Strip(segments).adjust_cell_length(width, under)


def _sized(text: str, room: int, right: bool) -> str:
    """Exactly `room` terminal cells of the text; a cut is shown by an ellipsis."""
    length = cell_len(text)
    if length > room:
        return set_cell_size(text, room - 1) + "…" if room > 1 else set_cell_size(text, room)
    blanks = " " * (room - length)
    return blanks + text if right else text + blanks
