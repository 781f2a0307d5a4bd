"""The one main screen: headline, a table per view, details, log and status. It draws a value and posts wishes."""

from dataclasses import replace
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap, BindingType
from textual.containers import Horizontal
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer, Input, Label, Log

from console.live.catalog import VIEWS
from console.live.filter import parse
from console.live.headline import link_cell, totals
from console.live.model import Clock, Live, World
from console.live.order import Wish, wish_of
from console.live.table import Arrangement, Table
from console.live.views.jobs import JOBS, short
from console.live.views.nodes import NODES
from console.live.words import t
from console.messages import CancelWanted, CordonWanted, LogEnded, LogText, LogWanted, MarksChanged, RowSelected
from console.screens.deploy_form import DeployForm
from console.screens.help import Help
from console.widgets.confirm import Confirm
from console.widgets.live_table import LiveTable
from console.widgets.log_pane import LogPane
from console.widgets.text_lines import Details, Headline, Status, Views
from console.widgets.translated import Translated
from protocol.jobs import JobView
from protocol.nodes import NodeView

_LOG_DELAY_SECONDS: Final = 0.15
_LOW_ROWS: Final = 30


class MainScreen(Translated, Screen[None]):
    """Four tables over one model; the selected object is what actions are meant for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"view('{view.name}')", f"Show {view.name}", show=False, id=f"view.{view.name}")
            for number, view in enumerate(VIEWS, start=1)
        ),
        Binding("tab", "next_view(1)", "View", key_display="1-4", tooltip="Next view"),
        Binding("shift+tab", "next_view(-1)", "Previous view", show=False),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Filter rows by words; Esc clears"),
        Binding("s", "sort(1)", "Sort", show=False, tooltip="Sort by the next column"),
        Binding("S", "sort(-1)", "Sort by the column before", show=False),
        Binding("r", "reverse", "Reverse", show=False, tooltip="Turn the order round"),
        Binding("l", "log", "Log", tooltip="Show or hide the log of the selected job"),
        Binding("n", "deploy", "Deploy", tooltip="Deploy an app, beginning with the selected job's order"),
        Binding("c", "cancel", "Cancel job", tooltip="Cancel the selected job"),
        Binding("d", "drain", "Drain", tooltip="Drain (cordon) the selected node, or take it back"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        Binding("escape", "back", "Back", show=False, tooltip="Clear the filter, leave the log"),
    ]

    world: var[World] = var(World(), init=False)
    view: var[str] = var(JOBS.name, init=False)
    words: var[str] = var("", init=False)

    def __init__(self, clock: Clock, place: str) -> None:
        super().__init__()
        self._clock = clock
        self._place = place
        self._allowed: tuple[bool, ...] = ()
        self._refused_before: str | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Headline(id="headline")
        yield Views(id="views")
        with ContentSwitcher(initial=JOBS.name, id="tables"):
            for view in VIEWS:
                yield LiveTable(Table(view), id=view.name)
        yield Details(id="details")
        yield LogPane(id="log")
        with Horizontal(id="filter-line"):
            yield Label("/")
            yield Input(placeholder=t("words to look for in every column; Esc clears"), id="filter", compact=True)
        yield Status(id="status")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Draw what there is, and again with every second that passes."""
        self.query_one(LogPane).display = False
        self.query_one("#filter-line").display = False
        self.table.focus()
        self.draw()
        self.set_interval(1, self.draw)

    @property
    def table(self) -> LiveTable:
        """The shown table."""
        return self.query_one(f"#{self.view}", LiveTable)

    @property
    def live(self) -> Live:
        """The control plane."""
        return self.world.planes.get("", Live())

    @property
    def job(self) -> JobView | None:
        """The selected job, whichever view is shown."""
        found = self._selected(JOBS.name)
        return found if isinstance(found, JobView) else None

    @property
    def node(self) -> NodeView | None:
        """The selected node."""
        found = self._selected(NODES.name)
        return found if isinstance(found, NodeView) else None

    def _selected(self, view: str) -> object:
        of = self.query_one(f"#{view}", LiveTable)
        return of.table.value(of.cursor.target) if of.cursor.target is not None else None

    def watch_world(self) -> None:
        """A feed has news."""
        self.draw()

    def watch_words(self) -> None:
        """The filter changed."""
        self._filter_table()
        self.draw()

    def watch_view(self) -> None:
        """Another table was chosen."""
        self.query_one("#tables", ContentSwitcher).current = self.view
        self._filter_table()
        self.draw()
        self.table.focus()

    def on_resize(self, event: events.Resize) -> None:
        """On a low terminal the log takes the room of the details."""
        self.set_class(event.size.height < _LOW_ROWS, "-low")
        self.draw()

    def draw(self) -> None:
        """Bring every widget up to the model and the time."""
        local = self._clock.monotonic()
        link = self.live.link
        self.query_one(Headline).show(link_cell(link, local), totals(self.live), self._place)
        self.set_class(not link.fresh(local), "-stale")
        if self.live.model is not None:
            self._draw_table(local)
            sizes = {view.name: len(view.objects(self.live.model)) for view in VIEWS}
            self.query_one(Views).show(self.view, sizes)
        self._draw_details()
        allowed = (self._cancellable(), self._drainable(), link.fresh(local))
        if allowed != self._allowed:
            self._allowed = allowed
            self.refresh_bindings()

    def _draw_table(self, local: float) -> None:
        """The shown table only: the others are brought up to date when they are looked at."""
        table = self.table.table
        table.follow(self.world, local)
        hidden = table.total and t("Nothing matches '{words}'. Press Esc to clear the filter.", words=self.words)
        self.table.say_empty(hidden or t(table.view.empty))
        self.table.redraw()

    def _filter_table(self) -> None:
        """Only the shown table is filtered; another one when it is looked at."""
        table = self.table.table
        if table.arrangement.filter.text != self.words:
            wanted = parse(self.words, (field.name for field in table.view.fields))
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
            lines = (f"{cursor.key} is {'hidden by the filter' if lines else 'gone'}; choose another one.",)
        problem = self.live.link.problem
        if problem and self.live.model is None:
            lines = (problem, "The console keeps trying.")
        self.query_one(Details).show(lines)

    # What may be done

    def _fresh(self) -> bool:
        return self.live.link.fresh(self._clock.monotonic())

    def _cancellable(self) -> bool:
        job = self.job
        return self._fresh() and self.view == JOBS.name and job is not None and not job.status.terminal

    def _drainable(self) -> bool:
        return self._fresh() and self.view == NODES.name and self.node is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Actions without a target, or on data that may be out of date, are shown grey and do nothing."""
        match action:
            case "cancel":
                return self._cancellable() or None
            case "drain":
                return self._drainable() or None
            case "deploy":
                return self._fresh() or None
            case _:
                return True

    def action_cancel(self) -> None:
        """Ask, then cancel the job that was selected when the question was put."""
        job = self.job
        if job is None:
            return
        wish = CancelWanted(job.id, job.app_id)

        def answered(yes: bool | None) -> None:
            if yes:
                self.post_message(wish)

        question = f"Cancel job {short(job.id)} of app {job.app_id}?"
        self.app.push_screen(
            Confirm(question, "Its build stops; what runs of the app now keeps running.", "Cancel the job", "Keep it"),
            answered,
        )

    def action_drain(self) -> None:
        """Ask, then cordon the node that was selected when the question was put, or take it back."""
        node = self.node
        if node is None:
            return
        wish = CordonWanted(node.name, not node.enabled)

        def answered(yes: bool | None) -> None:
            if yes:
                self.post_message(wish)

        if node.enabled:
            question = Confirm(
                f"Drain node {node.name}?",
                f"It takes no new deployments. Its {node.placements} placed apps keep running there.",
                "Drain",
            )
        else:
            question = Confirm(f"Undrain node {node.name}?", "It takes new deployments again.", "Undrain")
        self.app.push_screen(question, answered)

    def action_deploy(self) -> None:
        """Open the form, filled from the selected job."""
        job = self.job
        wish = wish_of(job.payload) if job else Wish()
        self.app.push_screen(DeployForm(wish, job.payload if job else None))

    def action_help(self) -> None:
        """Show every key."""
        groups = ((title, BindingsMap(of.BINDINGS)) for title, of in _HELP)
        self.app.push_screen(
            Help((title, [each for keys in found.key_to_bindings.values() for each in keys]) for title, found in groups)
        )

    # Views and filter

    def action_view(self, name: str) -> None:
        """Show another table."""
        self.view = name

    def action_next_view(self, steps: int) -> None:
        """Show the next or previous table."""
        every = [view.name for view in VIEWS]
        self.view = every[(every.index(self.view) + steps) % len(every)]

    def action_sort(self, steps: int) -> None:
        """Sort by the next or previous column."""
        arrangement = self.table.table.arrangement
        names = [field.name for field in self.table.table.view.fields]
        order = names[(names.index(arrangement.order) + steps) % len(names)]
        self._arrange(replace(arrangement, order=order))

    def action_reverse(self) -> None:
        """Turn the order round."""
        arrangement = self.table.table.arrangement
        self._arrange(replace(arrangement, reverse=not arrangement.reverse))

    def _arrange(self, arrangement: Arrangement[Any]) -> None:
        self.table.table.arrange(arrangement)
        self.table.refresh()
        self.table.redraw()

    def on_marks_changed(self, event: MarksChanged) -> None:
        """Say how many objects an action would be meant for, and which of them cannot be seen."""
        marks, table = self.table.marks, self.table.table
        hidden = len(marks.hidden(table))
        parts = [f"{len(marks.keys)} marked" if marks.keys else "nothing is marked"]
        parts += [f"{hidden} of them hidden by the filter"] if hidden else []
        parts += [f"{event.gone} marked are no more"] if event.gone else []
        self.say("; ".join(parts) + ".")

    def action_filter(self) -> None:
        """Type words to filter by."""
        self.query_one("#filter-line").display = True
        self.query_one("#filter", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self.words = event.value

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the rows."""
        self.table.focus()

    def action_back(self) -> None:
        """Leave the log for the table; from the table, clear the filter."""
        if isinstance(self.focused, Log):
            self.table.focus()
            return
        self.query_one("#filter", Input).value = ""
        self.query_one("#filter-line").display = False
        self.table.focus()

    # Log

    def action_log(self) -> None:
        """Show or hide the log of the selected job."""
        if self.query_one(LogPane).display:
            self._leave_log()
        else:
            self._show_log()

    def on_row_opened(self) -> None:
        """Look into the selected job: its log."""
        if self.view == JOBS.name:
            self._show_log()
            self.query_one(LogPane).text.focus()

    def on_row_selected(self, event: RowSelected) -> None:
        """Another object: its details, and its log when the pane is open."""
        self._draw_details()
        if self.query_one(LogPane).display and self.view == JOBS.name and event.key is not None:
            self.set_timer(_LOG_DELAY_SECONDS, self._follow_log)
        self.draw()

    def _follow_log(self) -> None:
        pane, job = self.query_one(LogPane), self.job
        if not pane.display or (job is not None and pane.job_id == job.id):
            return
        if job is None:
            pane.open(None, "No job is selected")
        else:
            pane.open(job.id, f"Log of job {short(job.id)}, app {job.app_id}")
        self.post_message(LogWanted(job.id if job else None))

    def _show_log(self) -> None:
        self.query_one(LogPane).display = True
        self.add_class("-log")
        self._follow_log()

    def _leave_log(self) -> None:
        pane = self.query_one(LogPane)
        pane.display, pane.job_id = False, None
        self.remove_class("-log")
        self.post_message(LogWanted(None))
        self.table.focus()

    def on_log_text(self, event: LogText) -> None:
        """More of the log."""
        self.query_one(LogPane).write(event.job_id, event.text)

    def on_log_ended(self, event: LogEnded) -> None:
        """The log is complete, or cannot be read."""
        self.query_one(LogPane).end(event.job_id, event.problem)

    def say(self, sentence: str, *, problem: bool = False) -> None:
        """One sentence in the status line."""
        self.query_one(Status).say(sentence, problem=problem)


_HELP: Final = (("Anywhere", MainScreen), ("In a table", LiveTable), ("In the log", LogPane))
