"""The main screen on a recording: the same picture, a bar that says when it was, and keys that move through time.

Nothing can be changed there: no context permits it, and behind the screen there is no control plane at all.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input

from console.live.recorder.deck import DeckState
from console.live.words import later, t
from console.messages import ReplayWanted
from console.screens.main import MainScreen
from console.widgets.text_lines import Line

_SMALLEST_BAR: Final = 10


class ReplayBar(Horizontal):
    """When it was, how fast it goes on, and how much of the session there is."""

    def compose(self) -> ComposeResult:
        """The bar, and where a time is typed."""
        yield Line(id="replay-line")
        yield Input(
            placeholder=t("14:30, 2026-05-01T14:30 (UTC), or 90m before the end; Esc"), id="replay-time", compact=True
        )

    def on_mount(self) -> None:
        """No time is typed yet."""
        self.query_one(Input).display = False

    def show(self, state: DeckState) -> None:
        """Where the recording is."""
        head = f" {'▶' if state.playing else '⏸'} {t('REPLAY')} {_clock(state.at, day=True)} UTC  {state.speed}x  "
        tail = f"  {_clock(state.began)}–{_clock(state.ended)} " + (f" ✗ {state.problem}" if state.problem else "")
        room = max(_SMALLEST_BAR, self.size.width - len(head) - len(tail))
        done = round(state.share * room)
        self.query_one("#replay-line", Line).put(Content(f"{head}{'━' * done}{'─' * (room - done)}{tail}"))

    def ask(self) -> None:
        """Let a time be typed."""
        field = self.query_one(Input)
        field.display = True
        field.value = ""
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """It is no filter."""
        event.stop()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Input).display = False
        self.post_message(ReplayWanted("time", text=event.value))

    def on_key(self, event: events.Key) -> None:
        """Leave the field."""
        if event.key == "escape":
            event.stop()
            self.query_one(Input).display = False
            self.post_message(ReplayWanted("stay"))

    def on_click(self, event: events.Click) -> None:
        """Go where the bar was clicked."""
        line = self.query_one("#replay-line", Line)
        text = str(line.content)
        start = min((place for place in map(text.find, "━─") if place >= 0), default=0)
        length = text.count("━") + text.count("─")
        if length and start <= event.x < start + length:
            self.post_message(ReplayWanted("share", (event.x - start) / max(1, length - 1)))


class ReplayScreen(MainScreen):
    """Plays what was recorded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "replay('toggle')", "Play", id="replay.play", tooltip="Play the recording, or stand still"),
        Binding("full_stop", "replay('frame', 1)", "Frame", key_display=".", id="replay.next", tooltip="Next frame"),
        Binding("comma", "replay('frame', -1)", "Frame back", show=False, id="replay.previous"),
        Binding("right_parenthesis", "replay('nudge', 60)", "On 1 min", key_display=")", show=False, id="replay.on"),
        Binding(
            "left_parenthesis", "replay('nudge', -60)", "Back 1 min", key_display="(", show=False, id="replay.back"
        ),
        Binding("right_curly_bracket", "replay('faster', 1)", "Faster", key_display="}", id="replay.faster"),
        Binding(
            "left_curly_bracket", "replay('faster', -1)", "Slower", key_display="{", show=False, id="replay.slower"
        ),
        Binding("at", "replay_time", "Go to", key_display="@", id="replay.time", tooltip="Go to a time"),
    ]

    def compose(self) -> ComposeResult:
        """The bar over everything else."""
        yield ReplayBar(id="replay")
        yield from super().compose()

    @property
    def with_keys(self) -> Sequence[tuple[str, type[DOMNode]]]:
        """Those of the recording first."""
        return (later("In the recording"), ReplayScreen), *super().with_keys

    def moved(self, state: DeckState) -> None:
        """The recording is elsewhere."""
        for bar in self.query(ReplayBar):
            if bar.is_mounted:
                bar.show(state)
                self.draw()

    def action_replay(self, kind: str, value: float = 0) -> None:
        """Move through time."""
        self.post_message(ReplayWanted(kind, value))

    def action_replay_time(self) -> None:
        """Type a time to go to."""
        self.query_one(ReplayBar).ask()


def _clock(moment: float, *, day: bool = False) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")
