"""The log of a job or of an app, or of several in one, as it grows.

The view follows the end until the operator scrolls up, and again once he is back there. A search marks what it finds
among all lines; a key shows only the lines found.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label

from console.live.cells import size
from console.live.logs.book import Logbook, Origin, Piece
from console.live.logs.paper import Stamps
from console.live.logs.save import save
from console.live.logs.search import Matches, wanted
from console.live.words import later, t, tn
from console.messages import CommandDone
from console.settings import state_folder
from console.widgets.log_view import LogView
from console.widgets.text_lines import Line

#: New lines are taken in so often at most, and for so long at a time: keys are heard in between.
_FRAME_SECONDS: Final = 0.05
_SLICE_SECONDS: Final = 0.008
_FOLDER: Final = "logs"
_MOST_AT_ONCE: Final = 200
_STAMPS: Final = {Stamps.ARRIVED: later("times of arrival"), Stamps.OWN: later("the lines' own times")}


class LogPane(Vertical):
    """Shows the log of these origins."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "search",
            "Search",
            key_display="/",
            id="log.search",
            tooltip="Search: words, /expression/, ! for lines without",
        ),
        Binding("n", "found(1)", "Next found", show=False, id="log.next"),
        Binding("N", "found(-1)", "Found before", show=False, id="log.previous"),
        Binding("f", "only", "Only found", show=False, id="log.only", tooltip="Show only the lines found, or all"),
        Binding("s", "save", "Save the log", show=False, id="log.save", tooltip="Save the shown lines to a file"),
        Binding("enter", "screen.rows", "To the rows", show=False, id="log.rows"),
        Binding("escape", "leave_search", "Leave the search", show=False, id="log.leave"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.origins: tuple[Origin, ...] = ()
        self._title = ""
        self._ended: dict[int, str | None] = {}
        self._waiting: deque[Piece] = deque()
        self._due = False
        self._drawn_at = 0.0

    def compose(self) -> ComposeResult:
        """A title over the text, and what is looked for under it."""
        yield Line(id="log-title")
        yield LogView(id="log-text")
        with Horizontal(id="log-search-line"):
            yield Label("/")
            yield Input(
                placeholder=t("words, /expression/, ! for lines without; Esc leaves"), id="log-search", compact=True
            )

    def on_mount(self) -> None:
        """Nobody searches yet."""
        self.query_one("#log-search-line").display = False

    @property
    def text(self) -> LogView:
        """The text itself, to be focused."""
        return self.query_one(LogView)

    @property
    def job_id(self) -> str | None:
        """The job whose log is shown, when it is one job's."""
        return self.origins[0].id if len(self.origins) == 1 and self.origins[0].kind == "job" else None

    @property
    def lines(self) -> tuple[str, ...]:
        """Every line as it is shown; for tests and small logs."""
        paper = self.text.paper
        return tuple(paper.sheet(paper[index]).text for index in range(len(paper)))

    def open(self, origins: Sequence[Origin], title: str) -> None:
        """Begin with an empty log of these."""
        self.origins, self._title, self._ended = tuple(origins), title, {}
        self._waiting.clear()
        self.text.show(Logbook(self.origins))
        self._look_for(self.query_one("#log-search", Input).value)
        self._say()

    def take(self, origins: Sequence[Origin], pieces: Sequence[Piece]) -> None:
        """More of the log, unless another one is shown by now."""
        if tuple(origins) == self.origins:
            self._waiting.extend(pieces)
            self._later(_FRAME_SECONDS)

    def end(self, origins: Sequence[Origin], number: int, problem: str | None) -> None:
        """The log of one of them is complete, or cannot be read."""
        if tuple(origins) != self.origins:
            return
        self._ended[number] = problem
        if len(self.origins) > 1:
            self.take(origins, (Piece(number, note=problem or t("complete")),))
        self._say()

    def _later(self, seconds: float) -> None:
        if not self._due:
            self._due = True
            self.set_timer(seconds, self._take_in)

    def _take_in(self) -> None:
        """Cut what came into lines, for a few milliseconds at a time."""
        self._due = False
        book, until = self.text.paper.book, time.perf_counter() + _SLICE_SECONDS
        while self._waiting and time.perf_counter() < until:
            book.take((self._waiting.popleft(),) if len(self.origins) == 1 else self._all_waiting())
        self._look_on()
        if self._waiting:
            self._later(_SLICE_SECONDS / 4)
        if not self._waiting or until - self._drawn_at >= _FRAME_SECONDS:
            self._drawn_at = until
            self.text.news()
            self._say()

    def _all_waiting(self) -> tuple[Piece, ...]:
        """Of several origins what came at once is put in order together, so it is taken together."""
        count = min(len(self._waiting), _MOST_AT_ONCE)
        return tuple(self._waiting.popleft() for _ in range(count))

    # The title

    def _state(self) -> str:
        if not self.origins:
            return ""
        if len(self._ended) == len(self.origins):
            problems = [problem for problem in self._ended.values() if problem]
            return problems[0] if problems else t("complete")
        return t("following") if self.text.place.following else t("held; End follows")

    def _say(self) -> None:
        text = self.text
        parts = [self._title, self._state()]
        if self.origins:
            book, layout = text.paper.book, text.paper.layout
            parts += [tn("{count:,} line", "{count:,} lines", len(book.store)), size(book.bytes)]
            parts += [tn("{count} gap", "{count} gaps", book.gaps)] if book.gaps else []
            parts += [t("wrapped")] if layout.wrap else []
            parts += [t(_STAMPS[layout.stamps])] if layout.stamps is not Stamps.OFF else []
            parts += [self._search_state()]
        self.query_one("#log-title", Line).put(Content(" · ".join(part for part in parts if part)))

    def _search_state(self) -> str:
        found = self.text.found
        if found is None:
            return ""
        if found.wanted.problem:
            return found.wanted.problem
        if not found.complete:
            return t("searching {share}", share=f"{found.share:.0%}")
        current, count = self.text.current, len(found)
        if current is not None and found.has(current):
            said = t("{number:,} of {count:,} found", number=found.place(current) + 1, count=count)
        else:
            said = t("{count:,} found", count=count)
        return t("{found}; only these", found=said) if self.text.paper.only is not None else said

    def on_log_view_moved(self) -> None:
        """The operator went elsewhere."""
        self._say()

    # Search

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one("#log-search-line").display = True
        self.query_one("#log-search", Input).focus()

    @on(Input.Changed, "#log-search")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._look_for(event.value)
        self._say()

    @on(Input.Submitted, "#log-search")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.text.focus()
        self.run_worker(self._go_when_found(), group="log-search", exclusive=True, exit_on_error=False)

    def _look_for(self, words: str) -> None:
        text = self.text
        only = text.paper.only is not None
        what = wanted(words)
        text.found = Matches(what, text.paper.book.store) if words else None
        text.current = None
        self.refresh_bindings()
        self._look_on()
        if only:
            text.filtered(text.found if text.found is not None and what.pattern is not None else None)
        text.refresh()

    def _look_on(self) -> None:
        """Look through a few blocks now, and through the rest later."""
        found, until = self.text.found, time.perf_counter() + _SLICE_SECONDS
        if found is None:
            return
        while not found.complete and time.perf_counter() < until:
            found.look_on()
        if not found.complete:
            self._later(_SLICE_SECONDS / 2)

    async def _go_when_found(self) -> None:
        """To the first line found from where the operator is."""
        found = self.text.found
        while found is not None and not found.complete:
            await asyncio.sleep(_SLICE_SECONDS)
            found = self.text.found
        if found is not None and len(found):
            top = self.text.place.top
            self.text.to_line(top if found.has(top) else found.beyond(top, 1) or found[0])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While nothing is looked for, the keys that go through what was found are the screen's."""
        return self.text.found is not None if action == "found" and self.is_mounted else True

    def action_found(self, step: int) -> None:
        """The next line found, or the one before; after the last one comes the first."""
        text, found = self.text, self.text.found
        if found is None or not len(found):
            return
        at = text.current if text.current is not None else text.place.top
        number = found.beyond(at, step)
        if number is not None:
            text.to_line(number)

    def action_only(self) -> None:
        """Show only the lines found, or all again."""
        text = self.text
        found = text.found
        text.filtered(None if text.paper.only is not None or found is None or found.wanted.pattern is None else found)
        self._say()

    @property
    def searches(self) -> bool:
        """Whether something is looked for, or will be."""
        return self.text.found is not None or self.query_one("#log-search", Input).has_focus

    def action_leave_search(self) -> None:
        """Leave the search; when there is none, the key is the screen's."""
        field = self.query_one("#log-search", Input)
        if not self.searches:
            raise SkipAction
        field.value = ""
        self._look_for("")
        self.query_one("#log-search-line").display = False
        self.text.filtered(None)
        self.text.focus()

    # Saving

    def action_save(self) -> None:
        """Write the shown lines to a file."""
        if self.origins:
            self.run_worker(self._save(), group="log-save", exclusive=True, exit_on_error=False)

    async def _save(self) -> None:
        paper = self.text.paper
        store = paper.book.store.copy()
        numbers: range | list[int] = range(store.first, store.end)
        if paper.only is not None:
            only = (paper.only[place] for place in range(len(paper.only)))
            numbers = [number for number in only if number >= store.first]
        folder = state_folder() / _FOLDER
        try:
            path, count = await asyncio.to_thread(save, folder, paper.book, store, numbers, paper.layout.stamps)
        except OSError as error:
            why = error.strerror or str(error)
            words = t("The log was not saved in {folder}: {why}.", folder=folder, why=why)
            self.post_message(CommandDone(words, problem=True))
        else:
            words = tn("{count:,} line was saved in {path}.", "{count:,} lines were saved in {path}.", count, path=path)
            self.post_message(CommandDone(words))
