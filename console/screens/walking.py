"""Where the operator is: which page is shown, how one comes to others, and what has to be read for them."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input

from console.live.catalog import VIEWS
from console.live.model import World
from console.live.trail import Place
from console.live.views.jobs import JOBS
from console.messages import OlderWanted, TopicsWanted
from console.widgets.live_table import LiveTable
from console.widgets.log_pane import LogPane
from console.widgets.log_view import LogView
from console.widgets.pages import Page, Pages
from console.widgets.text_lines import Escape, Views

#: Tables that cost something to be counted, or have to be fetched: they are counted while they are shown.
_LAZY: Final = frozenset({"overview", "users", "apps", "events", "drains", "operations", "webhooks"})


class Walking(Screen[None]):
    """The walking half of the main screen; it has a world and a filter."""

    world: var[World] = var(World(), init=False)
    words: var[str] = var("", init=False)

    _wanted: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    _with_log: bool = False
    _awaited: Place | None = None

    @cached_property
    def pages(self) -> Pages:
        """All pages; looked for once, because a frame asks for them many times."""
        return self.query_one(Pages)

    @property
    def page(self) -> Page:
        """The shown page."""
        return self.pages.page

    @property
    def table(self) -> LiveTable:
        """The shown table."""
        return self.page.table

    @property
    def view(self) -> str:
        """The name of the shown page: of a view of all objects, or of a page about one."""
        return self.page.place.view

    @view.setter
    def view(self, name: str) -> None:
        self.open(Place(name))

    def open(self, place: Place) -> None:
        """Show another page."""
        self.pages.open(place, self.world)
        self._arrived()

    def draw(self) -> None:
        """Bring every widget up to the model and the time."""
        raise NotImplementedError

    def focus_page(self) -> None:
        """Go to the rows, or to the log where the page has one."""
        raise NotImplementedError

    def show_log(self, *, shown: bool) -> None:
        """Show the log, or leave it, unless that is so already."""
        raise NotImplementedError

    def _arrived(self) -> None:
        """Another page is shown: its filter, its log, its rows."""
        self.words = self.table.table.arrangement.filter.text
        with self.prevent(Input.Changed):
            self.query_one("#filter", Input).value = self.words
        self.query_one("#filter-line").display = bool(self.words)
        log = self.page.spec.log
        if log != self._with_log:
            self._with_log = log
            self.show_log(shown=log)
        self.on_page_ready()

    def on_page_ready(self) -> None:
        """The shown page can be drawn, unless it was another one that is ready."""
        if self.page.ready:
            self.draw()
            self.focus_page()

    def draw_views(self) -> None:
        """The names and sizes of the tables, or the way to the page."""
        models = [live.model for live in self.world.planes.values() if live.model is not None]
        if not models:
            return
        shown = [view for view in VIEWS if view.name == self.view or view.name not in _LAZY]
        sizes = {view.name: sum(len(view.objects(model)) for model in models) for view in shown}
        self.query_one(Views).show(self.view, sizes, self.pages.trail.here.crumbs, self._escape())

    def await_job(self, place: Place) -> None:
        """Look at a job that was just made, as soon as the event stream tells of it."""
        self._awaited = place
        self.follow_job()

    def follow_job(self) -> None:
        """Show the awaited job with its log, if it is known by now and nothing lies over the page."""
        place = self._awaited
        live = self.world.planes.get(place.plane) if place is not None else None
        if place is not None and live is not None and live.model is not None and place.subject in live.model.jobs:
            self._awaited = None
            if self.is_current:
                self.open(place)

    def want_topics(self) -> None:
        """Have read what the page needs, and no more."""
        topics = self.page.topics(self.world)
        if topics != self._wanted:
            self._wanted = topics
            self.post_message(TopicsWanted(topics))

    def want_older(self, key: str | None) -> None:
        """At the last row of what was fetched: have older ones read."""
        table = self.table.table
        scene = table.scene(key) if key is not None else None
        if key is None or scene is None or table.row_of(key) != len(table) - 1:
            return
        for topic in self.page.spec.topics(self.page.place.subject, scene.model):
            found = scene.model.beside.fetched.get(topic)
            if found is not None and found.older is not None:
                self.post_message(OlderWanted(scene.plane, topic))

    def go_out(self) -> bool:
        """One page up; whether there is one."""
        return self._arrive(moved=self.pages.out())

    def action_walk(self, steps: int) -> None:
        """The page before, or the one from which one came back."""
        self._arrive(moved=self.pages.back() if steps < 0 else self.pages.forward())

    def _arrive(self, *, moved: bool) -> bool:
        if moved:
            self._arrived()
        return moved

    def action_back(self) -> None:
        """From a log that was opened beside the rows, to the rows; where rows are filtered, clear the filter; else go
        a page up. A page with a log of its own is left from there at once: one came in by one key, too."""
        escape = self._escape()
        if escape is Escape.ROWS:
            self.set_focus(self.table)
            return
        if escape is Escape.OUT and self.go_out():
            return
        self.query_one("#filter", Input).value = ""
        self.query_one("#filter-line").display = False
        self.set_focus(self.table)

    def action_rows(self) -> None:
        """From the log to the rows."""
        self.set_focus(self.table)

    def _escape(self) -> Escape:
        """What Esc does now."""
        focused, pane = self.focused, self.query_one(LogPane)
        if pane.searches and focused is not None and pane in focused.ancestors:
            return Escape.SEARCH
        if isinstance(focused, LogView):
            return Escape.OUT if self.page.spec.log else Escape.ROWS
        return Escape.FILTER if self.words or isinstance(focused, Input) else Escape.OUT

    def on_descendant_focus(self) -> None:
        """What Esc does is said where the way to the page is."""
        if self.is_mounted and self.page.ready:
            self.draw_views()

    def action_view(self, name: str) -> None:
        """Show another table."""
        self.open(Place(name))

    def action_next_view(self, steps: int) -> None:
        """Show the next or previous table."""
        every: Mapping[str, int] = {view.name: number for number, view in enumerate(VIEWS)}
        first = self.pages.trail.here.crumbs[0]
        root = next((view.name for view in VIEWS if view.title == first), JOBS.name)
        here = every.get(self.view, every[root])
        self.open(Place(VIEWS[(here + steps) % len(VIEWS)].name))

    def go_to(self, view: str, key: str | None = None) -> None:
        """Show a table and, with a key, select that object in it; a filter that hides it is taken away."""
        self.view = view
        if key is None:
            return
        if self.table.table.row_of(key) is None and self.words:
            self.query_one("#filter", Input).value = self.words = ""
            self.query_one("#filter-line").display = False
        self.table.choose(key)
