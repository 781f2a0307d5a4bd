"""A question before something happens that others will notice.

Cancel is focused: Enter alone changes nothing. `y` answers yes wherever the focus is.
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from console.live.words import t


class Confirm(ModalScreen[bool]):
    """Dismissed with True only when the operator chose the verb."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Back"),
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("left", "app.focus_previous", "Previous", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, question: str, consequence: str, verb: str, back: str = "Cancel") -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._verb = verb
        self._back = back

    def compose(self) -> ComposeResult:
        """The question, what will happen, and the two answers."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._question), classes="dialog-title")
            yield Static(Text(self._consequence), classes="dialog-text")
            with Horizontal(classes="dialog-buttons"):
                yield Button(t(self._back), id="no", compact=True)
                yield Button(t(self._verb), id="yes", compact=True, variant="warning")

    def on_mount(self) -> None:
        """Focus the harmless answer."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        self.dismiss(yes)
