"""A job's log as it grows. The view follows the end until the operator scrolls up, and again once he is back there."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Log

from console.live.cells import size
from console.live.words import t
from console.widgets.text_lines import Line

_MOST_LINES: Final = 20_000
_LONGEST_LINE: Final = 2_000


class Tail(Log):
    """Stays at its end until the operator leaves it, and again once he is back there.

    Where it stands cannot tell: text that came before the first layout, or a smaller window, leaves it off the end.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(max_lines=_MOST_LINES, auto_scroll=False, id=id)
        self.following = True

    def append(self, text: str) -> None:
        """More text at the end."""
        self.write(text)
        self._keep_to_end()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever moves away from the end stops following."""
        super().watch_scroll_y(old_value, new_value)
        self.following = self.is_vertical_scroll_end

    def on_resize(self) -> None:
        """The end moves when the height changes."""
        self._keep_to_end()

    def _keep_to_end(self) -> None:
        # After the refresh: before it, a text that has just become too long cannot be scrolled yet.
        self.call_after_refresh(self._scroll_if_following)

    def _scroll_if_following(self) -> None:
        if self.following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)


class LogPane(Vertical):
    """Shows the log of one job at a time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end,G", "to_end", "Follow the end of the log", show=False),
        Binding("home,g", "to_start", "Start of the log", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.job_id: str | None = None
        self._title = ""
        self._state = ""
        self._bytes = 0
        self._column = 0

    def compose(self) -> ComposeResult:
        """A title over the text."""
        yield Line(id="log-title")
        yield Tail(id="log-text")

    @property
    def text(self) -> Tail:
        """The text itself, to be focused."""
        return self.query_one("#log-text", Tail)

    def open(self, job_id: str | None, title: str) -> None:
        """Begin with an empty log of this job."""
        self.job_id, self._title, self._bytes, self._column = job_id, title, 0, 0
        self.text.clear()
        self.text.following = True
        self._say(t("following") if job_id else "")

    def write(self, job_id: str, text: str) -> None:
        """Append text, unless another job is shown by now."""
        if job_id != self.job_id:
            return
        self._bytes += len(text.encode())
        self.text.append(self._broken(text))
        self._say(t("following"))

    def end(self, job_id: str, problem: str | None) -> None:
        """The log is complete, or cannot be read."""
        if job_id == self.job_id:
            self._say(problem or t("complete"))

    def action_to_end(self) -> None:
        """Show the end, and follow it."""
        self.text.scroll_end(animate=False)

    def action_to_start(self) -> None:
        """Show the start."""
        self.text.scroll_home(animate=False)

    def _say(self, state: str) -> None:
        parts = (self._title, state, size(self._bytes) if self.job_id else "")
        self.query_one("#log-title", Line).put(Content(" · ".join(part for part in parts if part)))

    def _broken(self, text: str) -> str:
        """The text with over-long lines broken: one endless line must not slow the console down."""
        pieces = []
        for line in text.splitlines(keepends=True):
            rest = line
            while self._column + len(rest) > _LONGEST_LINE:
                cut = _LONGEST_LINE - self._column
                pieces.append(rest[:cut] + "\n")
                rest, self._column = rest[cut:], 0
            pieces.append(rest)
            self._column = 0 if rest.endswith("\n") else self._column + len(rest)
        return "".join(pieces)
