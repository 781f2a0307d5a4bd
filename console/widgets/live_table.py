"""A table of live objects: repaints the cells that changed, and its cursor stays on its object.

Drawn line by line (Textual's Line API): one changed cell costs the cells of its column on one line, whatever the number
of rows. What it shows, and in which order, is a `Table`; this widget knows the lines in view.

An object that was chosen and is gone keeps its line, dim, with the cells it had last, until the operator chooses anew:
lines are counted with that ghost, rows of the table without it.
"""

from typing import Any, ClassVar, Final

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console.live.cells import Cell, Row, Tone, fit
from console.live.cursor import Cursor, Marks, place, settle, step
from console.live.table import PLANE, Spot, Table, rearranged
from console.live.words import t
from console.messages import ColumnsChosen, MarksChanged, RowOpened, RowSelected, SortWanted
from console.widgets.row_strips import GAP, RowStrips, spans

_HEADER_LINES: Final = 1
_GUTTER: Final = 2
_NOTHING: Final = Row("", ())
_GHOST_SIGN: Final = "◌ "
#: A scroll bar is drawn in eighths of a cell.
_BAR_STEPS: Final = 8
#: What stands on a line in view: the row, whether the cursor is on it, whether it is marked, whether it is a ghost.
_Look = tuple[Row, bool, bool, bool]


class LiveTable(ScrollView, can_focus=True):
    """Shows a `Table`; `redraw` after the table followed the world or was arranged anew."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "live-table--header",
        "live-table--cursor",
        "live-table--marked",
        "live-table--ghost",
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
        Binding("minus", "columns('hide')", "Hide the column sorted by", show=False, id="columns.hide"),
        Binding("less_than_sign", "columns('left')", "It to the left", key_display="<", show=False, id="columns.left"),
        Binding("greater_than_sign", "columns('right')", "Right", key_display=">", show=False, id="columns.right"),
        Binding("plus", "columns('all')", "Every column", show=False, id="columns.all"),
    ]

    def __init__(self, table: Table[Any], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = table
        self.cursor = Cursor()
        self.marks = Marks()
        self.empty = table.view.empty
        self._top_key: str | None = None
        self._painted: list[_Look] = []
        #: Cells of objects in view, as last made.
        self._rows: dict[str, Row] = {}
        #: The chosen object's cells and place, kept for the time when it is gone.
        self._last: Row | None = None
        self._spot: Spot | None = None
        self._fields = table.fields
        self._columns = table.columns
        self._rooms: tuple[tuple[int, int], ...] = ()
        self._strips = RowStrips(self._look_up)
        self._second = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """What an action is meant for: the marked objects if there are any, else the one under the cursor."""
        if self.marks.keys:
            return tuple(sorted(self.marks.keys))
        return (self.cursor.target,) if self.cursor.target is not None else ()

    @property
    def ghost(self) -> Row | None:
        """The chosen object as it last was, when it is gone or hidden."""
        return self._last if self.cursor.gone else None

    def redraw(self, changed: frozenset[str] | None = None, second: int = 0) -> None:
        """Bring the lines in view up to the table; the cursor, the marks and the place in view follow their keys.

        `changed`: the keys of rows that may look different, as `Table.follow` told them; None: all. Ages tell seconds.
        """
        before = self.cursor
        at = self.table.row_at(self._spot) if self._spot is not None else None
        self.cursor = settle(before, self.table, at)
        self._forget_cells(changed)
        self._age(second)
        self._keep_cells()
        self._forget_marks()
        top, anchor = self.scroll_offset.y, self._top_key
        self._resize_to_rows()
        self._hold_place(before, top, anchor)
        self._paint()
        if self.cursor.target != before.target:
            self.post_message(RowSelected(self.cursor.target))

    def say_empty(self, words: str) -> None:
        """What is shown in the place of rows when there are none."""
        if words != self.empty:
            self.empty = words
            self.refresh()

    def _forget_cells(self, changed: frozenset[str] | None) -> None:
        if self._fields is not self.table.fields:
            self._fields, self._columns, self._rooms = self.table.fields, self.table.columns, ()
            self._last, changed = None, None
            self._forget_lines()
        for key in tuple(self._rows) if changed is None else changed.intersection(self._rows):
            del self._rows[key]

    def _age(self, second: int) -> None:
        """The cells of the lines in view, a second later; others are made anew when they come into view."""
        if second != self._second:
            self._second, keys = second, self.table.keys(self.scroll_offset.y, self._page())
            self._rows = {key: self.table.aged(self._rows[key]) for key in keys if key in self._rows}

    def _keep_cells(self) -> None:
        """Remember the chosen object while it is there."""
        target = self.cursor.target
        if target is None:
            return
        self._spot = self.table.spot(target)
        self._last = self._cells(target)

    def _cells(self, key: str) -> Row:
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = self.table.drawn(key)
        return found

    def _forget_marks(self) -> None:
        gone = [key for key in self.marks.keys if self.table.value(key) is None]
        if gone:
            self.marks = self.marks.without(gone)
            self.post_message(MarksChanged(len(gone)))

    @property
    def lines(self) -> int:
        """How many lines there are to see: the rows, and the ghost if there is one."""
        return len(self.table) + (self.ghost is not None)

    def _resize_to_rows(self) -> None:
        """Another number of rows changes the scroll bar alone: nothing is laid out anew unless a bar comes or goes."""
        height, was, room = self.lines + _HEADER_LINES, self.virtual_size.height, self.container_size.height
        if height == was:
            return
        if (was > _HEADER_LINES) != (height > _HEADER_LINES):
            self.refresh()
        if (was > room) != (height > room):
            self.virtual_size = Size(1, height)
            return
        self.set_reactive(Widget.virtual_size, Size(1, height))
        if not self.show_vertical_scrollbar:
            return
        bar = self.vertical_scrollbar
        if abs(bar.window_virtual_size - height) * room * _BAR_STEPS >= height:
            bar.window_virtual_size = height
        if self.scroll_y > self.max_scroll_y:
            self._scroll_to_line(self.max_scroll_y)

    def _hold_place(self, before: Cursor, top: int, anchor: str | None) -> None:
        """Rows that came or went above move the view along, so that the chosen object stays on its line of the screen;
        when the cursor is out of view, the first line in view stays. At the top the newest rows come into view."""
        if top == 0:
            if before.key is not None and self.cursor.row != before.row:
                self._reveal()
        elif before.key is not None and before.row in range(top, top + self._page()):
            self._scroll_to_line(top + self.cursor.row - before.row)
            self._reveal()
        elif anchor is not None:
            row = self.table.row_of(anchor)
            self._scroll_to_line(top if row is None else self._line_of(row))
        self._remember_top()

    def _scroll_to_line(self, line: int) -> None:
        line = max(0, min(line, self.max_scroll_y))
        if line != self.scroll_offset.y:
            self.scroll_to(y=line, animate=False, immediate=True)

    def _remember_top(self) -> None:
        top = self.scroll_offset.y
        row = self._row_on(top)
        self._top_key = self.table.key(row) if top > 0 and row is not None else None

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls sees other rows."""
        super().watch_scroll_y(old_value, new_value)
        self._forget_lines()
        self._remember_top()

    def _page(self) -> int:
        return max(1, self.size.height - _HEADER_LINES)

    def _line_of(self, row: int) -> int:
        return row + (self.ghost is not None and row >= self.cursor.row)

    def _row_on(self, line: int) -> int | None:
        """The row of the table on a line; None on the ghost's, and where there is none."""
        if self.ghost is not None:
            if line == self.cursor.row:
                return None
            line -= line > self.cursor.row
        return line if 0 <= line < len(self.table) else None

    # Painting

    def _forget_lines(self) -> None:
        """Every line has to be painted again."""
        self._painted.clear()

    def _looks(self) -> list[_Look]:
        """What belongs on the lines in view."""
        top, page, ghost, cursor = self.scroll_offset.y, self._page(), self.ghost, self.cursor
        start = top if ghost is None or top <= cursor.row else top - 1
        keys = self.table.keys(start, page)
        chosen, marked = cursor.target, self.marks.keys
        looks = [(self._cells(key), key == chosen, key in marked, False) for key in keys]
        if ghost is not None and top <= cursor.row <= top + len(looks):
            looks.insert(cursor.row - top, (ghost, True, False, True))
        del looks[page:]
        return looks + [(_NOTHING, False, False, False)] * (page - len(looks))

    def _paint(self) -> None:
        """Ask for the lines, and of lines whose row stayed for the cells, that differ from what is painted."""
        painted, self._painted = self._painted, self._looks()
        width = self.size.width
        for line, now in enumerate(self._painted):
            if line >= len(painted):
                self.refresh(Region(0, line + _HEADER_LINES, width, self._page() - line))
                break
            if painted[line] != now:
                self._refresh_line(line, painted[line], now)
        if len(self._rows) > 4 * self._page():
            self._rows = {look[0].key: look[0] for look in self._painted if look[0] is not _NOTHING and not look[3]}

    def _refresh_line(self, line: int, was: _Look, now: _Look) -> None:
        y = line + _HEADER_LINES
        if was[0].key != now[0].key or was[1:] != now[1:] or not self._rooms:
            self.refresh(Region(0, y, self.size.width, 1))
            return
        for index, x, room in spans(self._rooms, _GUTTER):
            if was[0].cells[index] != now[0].cells[index]:
                self.refresh(Region(x, y, room, 1))

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the header, or a row."""
        width, strips = self.size.width, self._strips
        self._rooms = fit(self._columns, width - _GUTTER - 1)
        if y == 0:
            return self._finished(strips.strip("  ", self._header(), self._columns, self._rooms, "header"), "header")
        if not len(self.table) and y == 2:
            return Strip([Segment(set_cell_size(f"  {self.empty}", width), strips.style(""))], width)
        line, looks = y - _HEADER_LINES, self._painted
        if line >= len(looks):
            looks = self._painted = self._looks()
        row, chosen, marked, ghost = looks[line] if line < len(looks) else (_NOTHING, False, False, False)
        if row is _NOTHING:
            return Strip.blank(width, strips.style(""))
        over = "ghost" if ghost else "cursor" if chosen else "marked" if marked else None
        gutter = _GHOST_SIGN if ghost else ("▸" if chosen else " ") + ("●" if marked else " ")
        return self._finished(strips.strip(gutter, row.cells, self._columns, self._rooms, over), over)

    def _finished(self, strip: Strip, over: str | None) -> Strip:
        base = self._strips.style("")
        return strip.adjust_cell_length(self.size.width, base + self._strips.style(over) if over else base)

    def _look_up(self, name: str) -> Style:
        return self.get_component_rich_style(f"live-table--{name}", partial=True) if name else self.rich_style

    def _header(self) -> tuple[Cell, ...]:
        arrangement = self.table.arrangement
        sign = "▾" if arrangement.reverse else "▴"
        return tuple(
            Cell(f"{t(field.column.title)}{sign}" if field.name == arrangement.order else t(field.column.title))
            for field in self._fields
        )

    # The operator

    def _move(self, cursor: Cursor) -> None:
        before, self.cursor = self.cursor, cursor
        self._keep_cells()
        self._resize_to_rows()
        self._reveal()
        self._paint()
        if cursor.target != before.target:
            self.post_message(RowSelected(cursor.target))

    def choose(self, key: str) -> bool:
        """Move the cursor to an object; whether it is shown."""
        row = self.table.row_of(key)
        if row is not None:
            self._move(place(self.table, row))
        return row is not None

    def _reveal(self) -> None:
        top, line = self.scroll_offset.y, self.cursor.row
        if line < top:
            self._scroll_to_line(line)
        elif line >= top + self._page():
            self._scroll_to_line(line - self._page() + 1)

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

    def action_columns(self, what: str) -> None:
        """Hide the column that the table is sorted by, move it, or show every column again."""
        shown = [field.name for field in self.table.fields if field.name != PLANE]
        chosen = rearranged(shown, self.table.arrangement.order, what)
        if chosen or what == "all":
            self.table.choose(chosen)
            self.refresh()
            self.redraw()
            self.post_message(ColumnsChosen(self.table.view.name, chosen))

    def _mark(self, marks: Marks) -> None:
        self.marks = marks
        self._paint()
        self.post_message(MarksChanged(0))

    def on_resize(self) -> None:
        """Less room must not hide the selected object."""
        self._forget_lines()
        self._reveal()

    def notify_style_update(self) -> None:
        """Another theme, or the focus: every line is painted anew."""
        super().notify_style_update()
        self._strips.forget()
        self._forget_lines()

    def on_click(self, event: events.Click) -> None:
        """Select the clicked row; a double click looks into it; a click on a title sorts by that column."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < _HEADER_LINES:
            self._sort_at(offset.x)
            return
        row = self._row_on(offset.y - _HEADER_LINES + self.scroll_offset.y)
        if row is not None:
            self._move(place(self.table, row))
            if event.chain == 2:
                self.action_open()

    def _sort_at(self, x: int) -> None:
        for index, left, room in spans(self._rooms, _GUTTER):
            if left <= x < left + room + GAP:
                self.post_message(SortWanted(self._fields[index].name))
