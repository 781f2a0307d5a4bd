"""A form that sends one order: what is wrong with it, or why it was refused, is said in the form, which stays open
until the order was accepted or the operator gives up.
"""

import uuid
from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from console.live.actions.orders import Order
from console.live.order import InvalidOrder
from console.live.words import t
from console.messages import FormSent
from console.widgets.modal import Answer, Modal, answer


class Form(Modal[None]):
    """`verb` is the answer that sends it; a subclass says what stands in it and makes the order."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back"),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(self, title: str, verb: str, plane: str = "") -> None:
        super().__init__()
        self._title = title
        self._verb = verb
        self._plane = plane
        self._sent: tuple[Order, str] | None = None

    def compose(self) -> ComposeResult:
        """The title, what stands in it, the problem, the buttons."""
        with VerticalScroll(classes="dialog dialog-wide", can_focus=False):
            yield Static(Text(self._title), classes="dialog-title")
            yield from self.lines()
            yield Static(id="form-problem")
            with Horizontal(classes="dialog-buttons"):
                yield answer(Answer.BACK, "Cancel", id="no")
                yield answer(Answer.DO, self._verb, id="yes")

    def lines(self) -> Iterator[Widget]:
        """What stands between the title and the problem."""
        raise NotImplementedError

    def order(self) -> Order:
        """What is sent. Raises InvalidOrder."""
        raise NotImplementedError

    def line(self, label: str, field: Input) -> Widget:
        """A field with its English label before it."""
        return Horizontal(Label(t(label), classes="form-label"), field, classes="form-line")

    def on_input_submitted(self) -> None:
        """Enter in any field sends the form."""
        self.action_send()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Send or give up."""
        if event.button.id == "yes":
            self.action_send()
        else:
            self.dismiss()

    def action_send(self) -> None:
        """Check the form and hand it over; the same order sent again is the same order to who gets it."""
        try:
            wanted = self.order()
        except InvalidOrder as problem:
            self.refuse(t("{field} {problem}", field=problem.field, problem=problem.message))
            for field in self.query(f"#{problem.field}").results(Input):
                field.focus()
            return
        if self._sent is None or self._sent[0] != wanted:
            self._sent = (wanted, uuid.uuid4().hex)
        self.refuse("")
        self.post_message(FormSent(*self._sent, self._plane))

    def refuse(self, sentence: str) -> None:
        """Say why nothing was done."""
        self.query_one("#form-problem", Static).update(Text(f"✗ {sentence}" if sentence else ""))

    def value(self, field: str) -> str:
        """What was typed into a field."""
        return self.query_one(f"#{field}", Input).value.strip()
