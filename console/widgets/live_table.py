"""A table of live objects: repaints the cells that changed, and its cursor stays on its object.

Drawn line by line (Textual's Line API): one changed cell costs the cells of its column on one line, whatever the number
of rows. What it shows, and in which order, is a `Table`; this widget knows the lines in view.
"""

from typing import Any, ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.live.cells import Cell, Row, Tone, fit
from console.live.cursor import Cursor, Marks, place, settle, step
from console.live.table import Table
from console.live.words import t
from console.messages import MarksChanged, RowOpened, RowSelected

_HEADER_LINES: Final = 1
_GUTTER: Final = 2
_GAP: Final = 2
_NOTHING: Final = Row("", ())


class LiveTable(ScrollView, can_focus=True):
    """Shows a `Table`; `redraw` after the table followed the world or was arranged anew."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "live-table--header",
        "live-table--cursor",
        "live-table--marked",
        *(f"live-table--{tone.value}" for tone in Tone),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Row up", show=False, id="row.up"),
        Binding("down,j", "step(1)", "Row down", show=False, id="row.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="row.page-up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="row.page-down"),
        Binding("home,g", "edge(0)", "First row", show=False, id="row.first"),
        Binding("end,G", "edge(1)", "Last row", show=False, id="row.last"),
        Binding("enter", "open", "Look into it", show=False, id="row.open"),
        Binding("space", "mark", "Mark", show=False, id="row.mark", tooltip="Mark the row, for actions on several"),
        Binding("V", "mark_range", "Mark to here", show=False, id="row.mark-range"),
        Binding("asterisk", "unmark", "No marks", key_display="*", show=False, id="row.unmark"),
    ]

    def __init__(self, table: Table[Any], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = table
        self.cursor = Cursor()
        self.marks = Marks()
        self.empty = table.view.empty
        self._top_key: str | None = None
        #: What stands on the lines in view: the row, whether the cursor is on it, whether it is marked.
        self._painted: list[tuple[Row, bool, bool]] = []
        self._columns = tuple(field.column for field in table.view.fields)
        self._rooms: tuple[tuple[int, int], ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """What an action is meant for: the marked objects if there are any, else the one under the cursor."""
        if self.marks.keys:
            return tuple(sorted(self.marks.keys))
        return (self.cursor.target,) if self.cursor.target is not None else ()

    def redraw(self) -> None:
        """Bring the lines in view up to the table; the cursor, the marks and the place in view follow their keys."""
        before = self.cursor
        self.cursor = settle(before, self.table)
        self._forget_marks()
        self._resize_to_rows()
        self._hold_place(before)
        self._paint()
        if self.cursor.target != before.target:
            self.post_message(RowSelected(self.cursor.target))

    def say_empty(self, words: str) -> None:
        """What is shown in the place of rows when there are none."""
        if words != self.empty:
            self.empty = words
            self.refresh()

    def _forget_marks(self) -> None:
        gone = [key for key in self.marks.keys if self.table.value(key) is None]
        if gone:
            self.marks = self.marks.without(gone)
            self.post_message(MarksChanged(len(gone)))

    def _resize_to_rows(self) -> None:
        height = len(self.table) + _HEADER_LINES
        if self.virtual_size.height != height:
            emptied = (self.virtual_size.height > _HEADER_LINES) != (height > _HEADER_LINES)
            self.virtual_size = Size(1, height)
            if emptied:
                self.refresh()

    def _hold_place(self, before: Cursor) -> None:
        """Rows that came or went above move the view along, so that the chosen object stays on its line of the screen;
        when the cursor is out of view, the first line in view stays. At the top the newest rows come into view."""
        top = self.scroll_offset.y
        if top == 0:
            if self.cursor.row != before.row and not self.cursor.gone:
                self._reveal()
        elif before.row in range(top, top + self._page()) and not self.cursor.gone:
            self._scroll_by(self.cursor.row - before.row)
        elif self._top_key is not None:
            row = self.table.row_of(self._top_key)
            self._scroll_by(0 if row is None else row - top)
        self._remember_top()

    def _scroll_by(self, rows: int) -> None:
        if rows:
            self.scroll_to(y=max(0, self.scroll_offset.y + rows), animate=False, immediate=True)

    def _remember_top(self) -> None:
        top = self.scroll_offset.y
        self._top_key = self.table.key(top) if 0 < top < len(self.table) else None

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls sees other rows."""
        super().watch_scroll_y(old_value, new_value)
        self._painted.clear()
        self._remember_top()

    def _page(self) -> int:
        return max(1, self.size.height - _HEADER_LINES)

    # Painting

    def _look(self, line: int) -> tuple[Row, bool, bool]:
        """What belongs on a line in view."""
        index = self.scroll_offset.y + line
        if index >= len(self.table):
            return _NOTHING, False, False
        row = self.table.row(index)
        chosen = index == self.cursor.row and not self.cursor.gone
        return row, chosen, row.key in self.marks.keys

    def _paint(self) -> None:
        """Ask for the lines, and of lines whose row stayed for the cells, that differ from what is painted."""
        painted = self._painted
        for line in range(self._page()):
            now = self._look(line)
            if line >= len(painted):
                painted.append(now)
                self.refresh(Region(0, line + _HEADER_LINES, self.size.width, 1))
            elif painted[line] != now:
                was, painted[line] = painted[line], now
                self._refresh_line(line, was, now)
        del painted[self._page() :]

    def _refresh_line(self, line: int, was: tuple[Row, bool, bool], now: tuple[Row, bool, bool]) -> None:
        y = line + _HEADER_LINES
        if was[0].key != now[0].key or was[1:] != now[1:] or not self._rooms:
            self.refresh(Region(0, y, self.size.width, 1))
            return
        x = _GUTTER
        for index, room in self._rooms:
            if was[0].cells[index] != now[0].cells[index]:
                self.refresh(Region(x, y, room, 1))
            x += room + _GAP

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the header, or a row."""
        width, base = self.size.width, self.rich_style
        self._rooms = fit(self._columns, width - _GUTTER - 1)
        if y == 0:
            style = self.get_component_rich_style("live-table--header")
            return self._strip(self._header(), "  ", style, None, width)
        if not len(self.table) and y == 2:
            return Strip([Segment(set_cell_size(f"  {self.empty}", width), base)], width)
        line = y - _HEADER_LINES
        row, chosen, marked = self._painted[line] if line < len(self._painted) else self._look(line)
        if row is _NOTHING:
            return Strip.blank(width, base)
        name = "live-table--cursor" if chosen else "live-table--marked"
        over = self.get_component_rich_style(name, partial=True) if chosen or marked else None
        gutter = ("▸" if chosen else " ") + ("●" if marked else " ")
        return self._strip(row.cells, gutter, base, over, width)

    def _header(self) -> tuple[Cell, ...]:
        arrangement = self.table.arrangement
        sign = "▾" if arrangement.reverse else "▴"
        return tuple(
            Cell(f"{t(field.column.title)}{sign}" if field.name == arrangement.order else t(field.column.title))
            for field in self.table.view.fields
        )

    def _strip(self, cells: tuple[Cell, ...], gutter: str, base: Style, over: Style | None, width: int) -> Strip:
        under = base + over if over else base
        segments = [Segment(gutter, under)]
        for number, (index, room) in enumerate(self._rooms):
            if number:
                segments.append(Segment(" " * _GAP, under))
            shown = cells[index]
            tone = self.get_component_rich_style(f"live-table--{shown.tone.value}", partial=True)
            style = base + tone + over if over else base + tone
            segments.append(Segment(_sized(shown.text, room, self._columns[index].right), style))
        return Strip(segments).adjust_cell_length(width, under)

    # The operator

    def _move(self, cursor: Cursor) -> None:
        before, self.cursor = self.cursor, cursor
        self._reveal()
        self._paint()
        if cursor.target != before.target:
            self.post_message(RowSelected(cursor.target))

    def _reveal(self) -> None:
        top, row = self.scroll_offset.y, self.cursor.row
        if row < top:
            self.scroll_to(y=row, animate=False, immediate=True)
        elif row >= top + self._page():
            self.scroll_to(y=row - self._page() + 1, animate=False, immediate=True)

    def action_step(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move(step(self.cursor, self.table, rows))

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._move(step(self.cursor, self.table, pages * self._page()))

    def action_edge(self, last: int) -> None:
        """Move the cursor to the first or last row."""
        if len(self.table):
            self._move(place(self.table, len(self.table) - 1 if last else 0))

    def action_open(self) -> None:
        """Look into the selected object."""
        if self.cursor.target is not None:
            self.post_message(RowOpened())

    def action_mark(self) -> None:
        """Mark the object under the cursor, or take its mark away, and go on to the next."""
        if self.cursor.target is not None:
            self._mark(self.marks.toggled(self.cursor.target))
            self.action_step(1)

    def action_mark_range(self) -> None:
        """Mark every row from the last one marked to the cursor."""
        if self.cursor.target is not None:
            self._mark(self.marks.ranged(self.table, self.cursor.target))

    def action_unmark(self) -> None:
        """Take all marks away."""
        self._mark(Marks())

    def _mark(self, marks: Marks) -> None:
        self.marks = marks
        self._paint()
        self.post_message(MarksChanged(0))

    def on_resize(self) -> None:
        """Less room must not hide the selected object."""
        self._painted.clear()
        if not self.cursor.gone:
            self._reveal()

    def notify_style_update(self) -> None:
        """Another theme: every line is painted anew."""
        super().notify_style_update()
        self._painted.clear()

    def on_click(self, event: events.Click) -> None:
        """Select the clicked row; a double click looks into it."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < _HEADER_LINES:
            return
        row = offset.y - _HEADER_LINES + self.scroll_offset.y
        if row < len(self.table):
            self._move(place(self.table, row))
            if event.chain == 2:
                self.action_open()


def _sized(text: str, room: int, right: bool) -> str:
    """Exactly `room` terminal cells of the text; a cut is shown by an ellipsis."""
    length = cell_len(text)
    if length > room:
        return set_cell_size(text, room - 1) + "…" if room > 1 else set_cell_size(text, room)
    blanks = " " * (room - length)
    return blanks + text if right else text + blanks
