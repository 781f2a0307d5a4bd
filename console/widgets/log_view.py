"""The text of a log, drawn line by line: it costs the rows in view, whatever the number of lines.

Where the operator is, is a line and not a position, so that what comes or goes elsewhere never moves what he reads.
"""

from dataclasses import replace
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from console.live.logs.book import Logbook
from console.live.logs.paper import Paper, Part, Sheet
from console.live.logs.place import Place, at_end, moved, on, settled
from console.live.logs.search import Matches
from console.widgets.log_colours import Palette

_SIDEWAYS: Final = 8
_WHEEL_ROWS: Final = 3
_BAR: Final = 1


class LogView(Widget, can_focus=True):
    """Shows a `Paper`; `news` after its book got more."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"log-view--{part.value}" for part in Part),
        "log-view--found",
        "log-view--current",
        "log-view--bar",
        "log-view--thumb",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Row up", show=False, id="log.up"),
        Binding("down,j", "step(1)", "Row down", show=False, id="log.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="log.page-up"),
        Binding("pagedown,space", "page(1)", "Page down", show=False, id="log.page-down"),
        Binding("home,g", "to_start", "Start of the log", show=False, id="log.start"),
        Binding("end,G", "to_end", "Follow the end of the log", show=False, id="log.end"),
        Binding("left", "sideways(-1)", "To the left", show=False, id="log.left"),
        Binding("right", "sideways(1)", "To the right", show=False, id="log.right"),
        Binding("w", "wrap", "Wrap", show=False, id="log.wrap", tooltip="Wrap lines, or cut them off at the edge"),
        Binding("T", "stamps", "Times", show=False, id="log.times", tooltip="Times: none, of arrival, the line's own"),
    ]

    class Moved(Message):
        """The operator went elsewhere, or looks at it in another way."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.paper = Paper(Logbook(()))
        self.place = Place()
        self.found: Matches | None = None
        self.current: int | None = None
        self._left = 0
        #: Lines from this number on had no end yet when they were painted.
        self._ended = 0
        self._rows: list[tuple[int, int]] | None = None
        self._palette: Palette | None = None
        #: The rows of the bar that are held.
        self._thumb = range(0)

    def show(self, book: Logbook) -> None:
        """Another log, from its end."""
        layout = self.paper.layout
        self.paper = Paper(book)
        self.paper.arrange(layout, None)
        self.place, self.found, self.current, self._left, self._ended = Place(), None, None, 0, 0
        self._repaint()

    def news(self) -> None:
        """The book got more. A pinned view is painted again only where lines were missing to fill it."""
        self.paper.follow()
        before = self._visible_rows()
        self.place = settled(self.place, self.paper, self.paper.height, self._page())
        self._rows = None
        grew = any(number >= self._ended for number, _ in self._visible_rows())
        self._ended = self.paper.book.store.end
        thumb, self._thumb = self._thumb, self._thumb_rows()
        if self.place.following or grew or before != self._visible_rows():
            self.refresh()
        elif self._thumb != thumb:
            # A part of a row costs as much as the row.
            self.refresh(Region(self.size.width - _BAR, 0, _BAR, self.size.height))

    def filtered(self, only: Matches | None) -> None:
        """Show only what was found, or all lines again; the line at the top, or the one found, stays in view."""
        line = self.current if self.current is not None else self.place.top
        self.paper.arrange(self.paper.layout, only)
        self.paper.follow()
        if not self.place.following:
            self.place = on(line, self.paper, self.paper.height, self._page())
        self._settle()

    def to_line(self, number: int) -> None:
        """Bring a line into view; it is the current one."""
        self.current = number
        if number not in {line for line, _ in self._visible_rows()}:
            self.place = on(number, self.paper, self.paper.height, self._page())
            self._settle()
        else:
            self.place = replace(self.place, following=False)
        self._bring_sideways(number)
        self._repaint()
        self.post_message(self.Moved())

    @property
    def texts(self) -> tuple[str, ...]:
        """What stands on the rows in view."""
        return tuple(self._row_text(number, row) for number, row in self._visible_rows())

    def _bring_sideways(self, number: int) -> None:
        sheet = self.paper.sheet(number)
        spans = [] if self.found is None else [*self.found.wanted.spans(sheet.text[sheet.body :])]
        if self.paper.layout.wrap or not spans:
            return
        start, end = (place + sheet.body for place in spans[0])
        if not self._left <= start < end <= self._left + self._width():
            self._left = max(0, start - self._width() // 3) if end > self._width() else 0

    # Painting

    def _width(self) -> int:
        return max(1, self.size.width - _BAR)

    def _page(self) -> int:
        return max(1, self.size.height)

    def _visible_rows(self) -> list[tuple[int, int]]:
        """Line and row of the line for each row in view."""
        if self._rows is None:
            self._rows = []
            index, row = self.paper.index(self.place.top), self.place.row
            while index < len(self.paper) and len(self._rows) < self._page():
                number = self.paper[index]
                height = self.paper.height(number)
                self._rows += [(number, each) for each in range(row, height)]
                index, row = index + 1, 0
            del self._rows[self._page() :]
        return self._rows

    def _row_text(self, number: int, row: int) -> str:
        sheet = self.paper.sheet(number)
        return sheet.text[slice(*_ends(sheet, row))] if self.paper.layout.wrap else sheet.text

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the text. What they are painted on is looked up once for all of them: it costs more than a row."""
        base = self.rich_style
        if self._palette is None or self._palette.base != base:
            self._palette = Palette(self, base)
        return super().render_lines(crop)

    def _colours(self) -> Palette:
        if self._palette is None:
            self._palette = Palette(self, self.rich_style)
        return self._palette

    def render_line(self, y: int) -> Strip:
        """One row of the text, and the bar at its right."""
        base = self._colours().base
        rows = self._visible_rows()
        bar = self._bar(y)
        if y >= len(rows):
            return Strip([Segment(" " * self._width(), base), bar])
        number, row = rows[y]
        sheet = self.paper.sheet(number)
        strip = Strip(self._segments(number, sheet))
        if self.paper.layout.wrap:
            strip = _characters(strip, *_ends(sheet, row))
        else:
            strip = strip.crop(self._left, self._left + self._width())
        strip = self._selected(strip, y).apply_offsets(self._left, y)
        return Strip([*strip.adjust_cell_length(self._width(), base), bar])

    def _selected(self, strip: Strip, y: int) -> Strip:
        """The row, with what the mouse selected marked."""
        span = None if self.text_selection is None else self.text_selection.get_span(y)
        if span is None:
            return strip
        start = max(0, span[0] - self._left)
        end = strip.cell_length if span[1] == -1 else max(start, span[1] - self._left)
        style = self.screen.get_component_rich_style("screen--selection")
        marked = strip.crop(start, end).apply_style(style)
        return Strip([*strip.crop(0, start), *marked, *strip.crop(end)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse selected among the rows in view, and what stands between it and the next widget's."""
        return selection.extract("\n".join(self.texts)), "\n"

    def _segments(self, number: int, sheet: Sheet) -> list[Segment]:
        palette = self._colours()
        found = [] if self.found is None else [*self.found.wanted.spans(sheet.text[sheet.body :])]
        marked = [(start + sheet.body, end + sheet.body) for start, end in found]
        name = "log-view--current" if number == self.current else "log-view--found"
        over = self.get_component_rich_style(name, partial=True) if marked else None
        segments: list[Segment] = []
        place = 0
        for bit in sheet.bits:
            style = palette.style(bit.part, bit.look)
            for text, hit in _split(bit.text, place, marked):
                segments.append(Segment(text, style + over if hit and over is not None else style))
            place += len(bit.text)
        return segments

    def _bar(self, y: int) -> Segment:
        if not self._thumb:
            return Segment(" ", self._colours().base)
        held = y in self._thumb
        return Segment("┃" if held else "│", self._style("thumb" if held else "bar"))

    def _thumb_rows(self) -> range:
        """Which rows of the bar are held; none when everything is in view."""
        total, page = len(self.paper), self._page()
        if total <= page and not self.paper.layout.wrap:
            return range(0)
        size = max(1, page * page // max(total, page))
        top = 0 if not total else self.paper.index(self.place.top) * (page - size) // max(1, total - page)
        top = page - size if self.place.following else min(top, page - size)
        return range(top, top + size)

    def _style(self, name: str) -> Style:
        return self._colours().base + self.get_component_rich_style(f"log-view--{name}", partial=True)

    def notify_style_update(self) -> None:
        """Another theme: other colours."""
        super().notify_style_update()
        self._palette = None

    def _repaint(self) -> None:
        self._rows = None
        self._thumb = self._thumb_rows()
        self.refresh()

    # The operator

    def _settle(self) -> None:
        self.place = settled(self.place, self.paper, self.paper.height, self._page())
        self._repaint()

    def _go(self, place: Place) -> None:
        self.place = place
        self._repaint()
        self.post_message(self.Moved())

    def action_step(self, rows: int) -> None:
        """Move by rows; who goes up stops following the end."""
        self._go(moved(self.place, rows, self.paper, self.paper.height, self._page()))

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        self.action_step(pages * max(1, self._page() - 1))

    def action_to_start(self) -> None:
        """Show the start."""
        first = self.paper[0] if len(self.paper) else 0
        self._go(settled(Place(first, 0, following=False), self.paper, self.paper.height, self._page()))

    def action_to_end(self) -> None:
        """Show the end, and follow it."""
        self._go(at_end(self.paper, self.paper.height, self._page()))

    def action_sideways(self, steps: int) -> None:
        """Show what stands further to the right (or left) of lines that are not wrapped."""
        longest = max((len(self.paper.sheet(number).text) for number, _ in self._visible_rows()), default=0)
        self._left = max(0, min(self._left + steps * _SIDEWAYS, max(0, longest - _SIDEWAYS)))
        self._repaint()

    def action_wrap(self) -> None:
        """Wrap lines, or cut them off."""
        self._left = 0
        self.paper.arrange(replace(self.paper.layout, wrap=not self.paper.layout.wrap), self.paper.only)
        self.place = replace(self.place, row=0)
        self._settle()
        self.post_message(self.Moved())

    def action_stamps(self) -> None:
        """The next kind of times."""
        layout = self.paper.layout
        self.paper.arrange(replace(layout, stamps=layout.stamps.next), self.paper.only)
        self._settle()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Another width lays lines out anew."""
        self.paper.arrange(replace(self.paper.layout, width=self._width()), self.paper.only)
        self._settle()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Up, or to the left."""
        event.stop()
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Down, or to the right."""
        event.stop()
        self._wheel(event, 1)

    def _wheel(self, event: events.MouseEvent, way: int) -> None:
        if event.shift or event.ctrl:
            self.action_sideways(way)
        else:
            self.action_step(way * _WHEEL_ROWS)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the bar."""
        if event.x >= self.size.width - _BAR:
            self.capture_mouse()
            self._to_share(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the bar."""
        if self.app.mouse_captured is self:
            self._to_share(event.y)

    def on_mouse_up(self) -> None:
        """Let go of the bar."""
        self.release_mouse()

    def _to_share(self, y: int) -> None:
        last = self._page() - 1
        if y >= last or not len(self.paper):
            self.action_to_end()
            return
        index = max(0, y) * (len(self.paper) - 1) // max(1, last)
        place = Place(self.paper[index], 0, following=False)
        self._go(settled(place, self.paper, self.paper.height, self._page()))


def _ends(sheet: Sheet, row: int) -> tuple[int, int]:
    """From and up to which character a row goes."""
    ends = (*sheet.rows[1:], len(sheet.text))
    return sheet.rows[row], ends[row]


def _characters(strip: Strip, start: int, end: int) -> Strip:
    """The segments of these characters."""
    found: list[Segment] = []
    place = 0
    for text, style, _ in strip:
        piece = text[max(0, start - place) : max(0, end - place)]
        if piece:
            found.append(Segment(piece, style))
        place += len(text)
    return Strip(found)


def _split(text: str, begins: int, marked: list[tuple[int, int]]) -> list[tuple[str, bool]]:
    """A bit that begins at this character, cut where marked parts begin and end."""
    pieces: list[tuple[str, bool]] = []
    done = 0
    for start, end in marked:
        low, high = max(done, start - begins), min(len(text), end - begins)
        if low < high:
            pieces += [(text[done:low], False), (text[low:high], True)]
            done = high
    return [piece for piece in (*pieces, (text[done:], False)) if piece[0]]
