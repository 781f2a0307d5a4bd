"""The one main screen: headline, a page, details, log and status. It draws a value and posts wishes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap, BindingType
from textual.containers import Horizontal
from textual.dom import DOMNode
from textual.widgets import Input, Label

from console.columns import ChosenColumns
from console.live.actions.spec import Action, Aim, Permit
from console.live.catalog import KEYS, VIEWS
from console.live.cursor import found
from console.live.filter import parse
from console.live.headline import links_cell, mode_cell, totals
from console.live.logs.book import MOST_ORIGINS, Origin
from console.live.logs.origins import origin_of, title_of
from console.live.model import Clock, Live, World
from console.live.table import Arrangement
from console.live.views.jobs import JOBS
from console.live.words import later, t
from console.messages import LogEnded, LogPieces, LogWanted, MarksChanged, RowSelected, SortWanted
from console.screens.doing import Doing
from console.screens.help import Help
from console.screens.walking import Walking
from console.widgets.compositor import SparingCompositor
from console.widgets.keys import Keys
from console.widgets.live_table import LiveTable
from console.widgets.log_pane import LogPane
from console.widgets.log_view import LogView
from console.widgets.pages import Pages
from console.widgets.text_lines import Details, Headline, Status, Views
from console.widgets.translated import Translated

_LOG_DELAY_SECONDS: Final = 0.15
_LOW_ROWS: Final = 30


class MainScreen(Translated, Walking, Doing):
    """Pages over one model; the selected object is what actions are meant for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(KEYS[view.name], f"view('{view.name}')", f"Show {view.name}", show=False, id=f"view.{view.name}")
            for view in VIEWS
        ),
        Binding("tab", "next_view(1)", "View", id="view.next", key_display="0-9…", tooltip="Next view"),
        Binding("shift+tab", "next_view(-1)", "Previous view", show=False, id="view.previous"),
        Binding(
            "slash",
            "filter",
            "Filter",
            id="filter",
            key_display="/",
            tooltip="Filter rows by words; Enter chooses the first found, Esc clears",
            priority=True,  # at once: what is typed next is for the filter, and no key of an action
        ),
        Binding("s", "sort(1)", "Sort", show=False, id="sort.next", tooltip="Sort by the next column"),
        Binding("S", "sort(-1)", "Sort by the column before", show=False, id="sort.previous"),
        Binding("r", "reverse", "Reverse", show=False, id="sort.reverse", tooltip="Turn the order round"),
        Binding("l", "log", "Log", id="log", tooltip="Show or hide the log of the selected or marked jobs and apps"),
        Binding("question_mark", "help", "Help", id="help", key_display="?"),
        Binding("q", "app.quit", "Quit", id="quit"),
        Binding(
            "escape",
            "back",
            "Back",
            show=False,
            id="back",
            tooltip="Clear the filter, else go one page up",
        ),
        Binding("left_square_bracket", "walk(-1)", "Page before", key_display="[", show=False, id="page.before"),
        Binding("right_square_bracket", "walk(1)", "Page after", key_display="]", show=False, id="page.after"),
    ]

    def __init__(
        self,
        clock: Clock,
        place: str,
        permits: Mapping[str, Permit] | None = None,
        columns: ChosenColumns | None = None,
    ) -> None:
        super().__init__(clock, permits)
        self._compositor = SparingCompositor()
        self._columns = columns or ChosenColumns(None, "", {})
        self._place = place

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Headline(id="headline")
        yield Views(id="views")
        yield Pages(JOBS.name, tuple(view.name for view in VIEWS), self._columns.of, id="tables")
        yield Details(id="details")
        yield LogPane(id="log")
        with Horizontal(id="filter-line"):
            yield Label("/")
            yield Input(placeholder=t("words to look for in every column; Esc clears"), id="filter", compact=True)
        yield Status(id="status")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Draw what there is, and again with every second that passes."""
        self.query_one(LogPane).display = False
        self.query_one("#filter-line").display = False
        self.set_focus(self.table)
        self.draw()
        self.set_interval(1, self.draw)
        for problem in self.keymap.problems:
            self.say(t("keymap: {problem}.", problem=problem), problem=True)

    @property
    def live(self) -> Live:
        """The control plane of the chosen object; without one, or while there is one alone, the first."""
        return self.world.planes.get(self.plane) or next(iter(self.world.planes.values()), Live())

    @property
    def plane(self) -> str:
        """The name of the control plane of the chosen object: what is done to it is asked of that one."""
        key = self.table.cursor.key
        return (self.table.table.plane_of(key) if key is not None else None) or ""

    @property
    def acts_on(self) -> LiveTable:
        """The shown table."""
        return self.table

    @property
    def seen(self) -> World:
        """What is shown."""
        return self.world

    @property
    def acts_in(self) -> str:
        """The view whose actions are meant: that of the shown rows, or of the object that the page is about."""
        return self.page.spec.acts_as or self.table.table.view.name

    def aims(self, action: Action[Any]) -> tuple[Aim[Any], ...]:
        """On a page about one object: that one, and no row of its table."""
        if not self.page.spec.acts_as:
            return super().aims(action)
        return self._glance() if action.noun else ()

    def _form_aims(self) -> tuple[Aim[Any], ...]:
        return self._glance() if self.page.spec.acts_as else super()._form_aims()

    def _glance(self) -> tuple[Aim[Any], ...]:
        if not self.page.spec.acts_as:
            return super()._glance()
        about = self.page.about(self.world)
        return (Aim(*about),) if about is not None else ()

    def _selected(self) -> object:
        of = self.table
        return of.table.value(of.cursor.target) if of.cursor.target is not None else None

    def watch_world(self) -> None:
        """A feed has news."""
        self.draw()
        self.follow_job()

    def watch_words(self) -> None:
        """The filter changed."""
        self._filter_table()
        self.draw()

    def on_resize(self, event: events.Resize) -> None:
        """On a low terminal the log takes the room of the details."""
        self.set_class(event.size.height < _LOW_ROWS, "-low")
        self.draw()

    def draw(self) -> None:
        """Bring every widget up to the model and the time."""
        if not self.app.is_running:
            return  # news may still come while the console ends and its widgets are taken down
        local, planes = self._clock.monotonic(), self.world.planes
        self._draw_headline(local)
        known = any(live.model is not None for live in planes.values())
        self.set_class(known and not any(live.link.fresh(local) for live in planes.values()), "-stale")
        if known and self.page.ready:
            self.page.draw(self.world, local, self.words)
            self.draw_views()
        self._draw_details()
        self.want_topics()
        self.draw_actions()

    def _draw_headline(self, local: float) -> None:
        planes = self.world.planes
        mode = mode_cell(self.permit(self.plane or next(iter(planes), "")))
        self.query_one(Headline).show(links_cell(planes, local), (mode, *totals(*planes.values())), self._place)

    def _filter_table(self) -> None:
        """Only the shown table is filtered; another one when it is looked at."""
        table = self.table.table
        if table.arrangement.filter.text != self.words:
            wanted = parse(self.words, (field.name for field in (*table.view.fields, *table.fields)))
            table.arrange(replace(table.arrangement, filter=wanted))
            if wanted.problem:
                self.say(wanted.problem, problem=True)

    def _draw_details(self) -> None:
        cursor, table = self.table.cursor, self.table.table
        lines: tuple[str, ...] = ()
        value, scene = (table.value(cursor.key), table.scene(cursor.key)) if cursor.key else (None, None)
        if value is not None and scene is not None:
            lines = table.view.sheet(value, scene)
        if cursor.gone:
            hidden = t("{key} is hidden by the filter; choose another one.", key=cursor.key)
            lines = (hidden if lines else t("{key} is gone; choose another one.", key=cursor.key),)
        problem = self.live.link.problem
        if problem and self.live.model is None:
            lines = (problem, t("The console keeps trying."))
        self.query_one(Details).show(lines)

    @property
    def with_keys(self) -> Sequence[tuple[str, type[DOMNode]]]:
        """Where there are keys, and whose they are."""
        return _HELP

    def action_help(self) -> None:
        """Show every key."""
        groups = []
        for title, of in self.with_keys:
            bound = BindingsMap(of.BINDINGS)
            bound.apply_keymap(dict(self.keymap.keys))
            groups.append((title, [each for keys in bound.key_to_bindings.values() for each in keys]))
        self.app.push_screen(Help(groups))

    # Views and filter

    def action_sort(self, steps: int) -> None:
        """Sort by the next or previous column."""
        arrangement = self.table.table.arrangement
        names = [field.name for field in self.table.table.fields]
        here = names.index(arrangement.order) if arrangement.order in names else 0
        order = names[(here + steps) % len(names)]
        self._arrange(replace(arrangement, order=order))

    def action_reverse(self) -> None:
        """Turn the order round."""
        arrangement = self.table.table.arrangement
        self._arrange(replace(arrangement, reverse=not arrangement.reverse))

    def _arrange(self, arrangement: Arrangement[Any]) -> None:
        self.table.table.arrange(arrangement)
        self.table.refresh()
        self.table.redraw()

    def on_sort_wanted(self, event: SortWanted) -> None:
        """Sort by the column whose title was clicked."""
        now = self.table.table.arrangement
        self._arrange(replace(now, order=event.field, reverse=now.order == event.field and not now.reverse))

    def on_marks_changed(self, event: MarksChanged) -> None:
        """Say how many objects an action would be meant for, and which of them cannot be seen."""
        marks, table = self.table.marks, self.table.table
        hidden = len(marks.hidden(table))
        parts = [t("{count} marked", count=len(marks.keys)) if marks.keys else t("nothing is marked")]
        parts += [t("{count} of them hidden by the filter", count=hidden)] if hidden else []
        parts += [t("{count} marked are no more", count=event.gone)] if event.gone else []
        self.say("; ".join(parts) + ".")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a line of text and in a log, `/` is not the filter's."""
        if action == "filter" and isinstance(self.focused, (Input, LogView)):
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """Type words to filter by."""
        self.query_one("#filter-line").display = True
        self.set_focus(self.query_one("#filter", Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self.words = event.value

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the rows; when it hides the chosen one, to the first that it found."""
        self.set_focus(self.table)
        first = found(self.table.cursor, self.table.table)
        if first.key is not None:
            self.table.choose(first.key)

    # Log

    def action_log(self) -> None:
        """Show or hide the log of the selected or marked jobs and apps."""
        if self.query_one(LogPane).display:
            self._leave_log()
        else:
            self._show_log()

    def on_row_opened(self) -> None:
        """Look into the selected object; on a job's page, into its log."""
        place = self.pages.lead()
        if place is not None:
            self.open(place)
        elif self.page.spec.log:
            self._show_log()
            self.set_focus(self.query_one(LogPane).text)

    def on_row_selected(self, event: RowSelected) -> None:
        """Another object: its details, and its log when the pane is open. No row is looked at again for it."""
        if self.query_one(LogPane).display and self._origins():
            self.set_timer(_LOG_DELAY_SECONDS, self._follow_log)
        self.want_older(event.key)
        if self.app.is_running:
            self._draw_headline(self._clock.monotonic())
            self._draw_details()
            self.draw_actions()

    def _origins(self) -> tuple[Origin, ...]:
        """Whose logs are meant: that of the page's object, else those of the marked objects, else of the selected
        one."""
        about, table = self.page.about(self.world), self.table.table
        own = origin_of(about[1], self.page.place.plane) if about is not None else None
        if own is not None:
            return (own,)
        each = (origin_of(table.value(key), table.plane_of(key) or "") for key in self.table.targets)
        return tuple(origin for origin in each if origin is not None)[:MOST_ORIGINS]

    def focus_page(self) -> None:
        """Go to the rows, or to the log where the page has one."""
        if self.page.spec.log and self.query_one(LogPane).display:
            self._follow_log()
            self.set_focus(self.query_one(LogPane).text)
        else:
            self.set_focus(self.table)

    def show_log(self, *, shown: bool) -> None:
        """Show the log, or leave it, unless that is so already."""
        if shown != self.query_one(LogPane).display:
            self._show_log() if shown else self._leave_log()

    def _follow_log(self) -> None:
        pane, origins = self.query_one(LogPane), self._origins()
        if not pane.display or (origins and pane.origins == origins):
            return
        pane.open(origins, title_of(origins))
        self.post_message(LogWanted(origins))

    def _show_log(self) -> None:
        self.query_one(LogPane).display = True
        self.add_class("-log")
        self._follow_log()

    def _leave_log(self) -> None:
        pane = self.query_one(LogPane)
        pane.display = False
        pane.open((), "")
        self.remove_class("-log")
        self.post_message(LogWanted())
        self.set_focus(self.table)

    def on_log_pieces(self, event: LogPieces) -> None:
        """More of the log."""
        self.query_one(LogPane).take(event.origins, event.pieces)

    def on_log_ended(self, event: LogEnded) -> None:
        """A log is complete, or cannot be read."""
        self.query_one(LogPane).end(event.origins, event.number, event.problem)

    def say(self, sentence: str, *, problem: bool = False) -> None:
        """One sentence in the status line."""
        self.query_one(Status).say(sentence, problem=problem)


_HELP: Final[Sequence[tuple[str, type[DOMNode]]]] = (
    (later("Anywhere"), MainScreen),
    (later("Actions"), Doing),
    (later("In a table"), LiveTable),
    (later("In the log"), LogView),
    (later("In the log, searching"), LogPane),
)


def default_keys() -> Mapping[str, str]:
    """The keys of everything that has an id, with commas between them."""
    keys_of: dict[str, list[str]] = {}
    for _, of in _HELP:
        for keys in BindingsMap(of.BINDINGS).key_to_bindings.values():
            for binding in keys:
                if binding.id is not None:
                    keys_of.setdefault(binding.id, []).append(binding.key)
    return {name: ",".join(keys) for name, keys in keys_of.items()}
