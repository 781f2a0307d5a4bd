"""A question before something happens that others will notice.

Cancel is focused: Enter alone changes nothing. `y` answers yes wherever the focus is, unless a name has to be typed.
Every object that is meant has a line.
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from console.live.actions.spec import Question
from console.live.words import t
from console.widgets.modal import Answer, Modal, answer


class Confirm(Modal[bool]):
    """Dismissed with True only when the operator chose the verb."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Back", id="confirm.back"),
        Binding("y", "answer(True)", "Yes", show=False, id="confirm.yes"),
        Binding("left", "app.focus_previous", "Previous", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, what is meant, what will happen, and the two answers."""
        asked = self._question
        with Vertical(classes="dialog"):
            yield Static(Text(asked.title), classes="dialog-title")
            if asked.targets:
                with VerticalScroll(classes="dialog-list", can_focus=False):
                    yield Static(Text("\n".join(asked.targets)))
            if asked.consequence:
                with VerticalScroll(classes="dialog-list", can_focus=False):
                    yield Static(Text(asked.consequence), classes="dialog-text")
            with Horizontal(classes="dialog-buttons"):
                yield answer(Answer.BACK, asked.back, id="no")
                kind = Answer.DESTROY if asked.destructive else Answer.DO
                yield answer(kind, asked.verb, id="yes", disabled=asked.typed is not None)
            if asked.typed is not None:
                words = t("type {name} to go on", name=asked.typed)
                yield Input(placeholder=words, id="typed", compact=True)

    def on_mount(self) -> None:
        """Focus the harmless answer."""
        self.query_one("#no", Button).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Whoever typed the name may say yes."""
        self.query_one("#yes", Button).disabled = event.value.strip() != self._question.typed

    def on_input_submitted(self) -> None:
        """Enter after the name goes on to the answer, and gives none."""
        yes = self.query_one("#yes", Button)
        if not yes.disabled:
            yes.focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        if yes and self.query_one("#yes", Button).disabled:
            return
        self.dismiss(yes)
