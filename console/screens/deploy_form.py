"""The form that triggers a deployment; what is wrong with it, or why it was refused, is said in the form."""

import uuid
from collections.abc import Collection
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Label, Static

from console.live.order import InvalidOrder, Wish, known, newest_of, order, wish_of
from console.live.words import later, t
from console.messages import DeployWanted
from console.widgets.modal import Answer, Modal, answer
from protocol.jobs import CreateJob, JobView, StoredPayload

_FIELDS: Final = (
    ("appId", later("App"), "20001"),
    ("userId", later("Owner (user id)"), "1"),
    ("repoSshUrl", later("Repository"), "ssh://git@host:2222/funai/u1-app20001.git"),
    ("gitRef", later("Branch, tag, commit"), "main"),
    ("image", later("or ready image"), later("registry/repository:tag, deployed without a build")),
)


class DeployForm(Modal[None]):
    """Stays open until the control plane accepted the order or the operator gives up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back"),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(
        self, wish: Wish, earlier: StoredPayload | None, jobs: Collection[JobView] = (), plane: str = ""
    ) -> None:
        """`jobs` are those that the form learns from: what was ordered before completes what is typed."""
        super().__init__()
        self._plane = plane
        self._jobs = jobs
        self._known = known(jobs)
        self._wish = wish
        self._earlier = earlier
        self._sent: tuple[CreateJob, str] | None = None

    def compose(self) -> ComposeResult:
        """A line for each field, the problem, the buttons."""
        wish = self._wish
        values = (wish.app_id, wish.user_id, wish.repo, wish.git_ref, wish.image)
        with VerticalScroll(classes="dialog dialog-wide", can_focus=False):
            yield Static(t("Deploy an app"), classes="dialog-title")
            for (field, label, example), value in zip(_FIELDS, values, strict=True):
                with Horizontal(classes="form-line"):
                    yield Label(t(label), classes="form-label")
                    yield self._field(field, value, example)
            yield Static(id="form-problem")
            with Horizontal(classes="dialog-buttons"):
                yield answer(Answer.BACK, "Cancel", id="no")
                yield answer(Answer.DO, "Deploy", id="yes")

    def _field(self, field: str, value: str, example: str) -> Input:
        words = SuggestFromList(self._known.get(field, ()), case_sensitive=False)
        return Input(value, placeholder=t(example), id=field, compact=True, select_on_focus=False, suggester=words)

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """An app that was deployed before: what is still empty is as it was then."""
        if event.input.id != "appId":
            return
        earlier = newest_of(event.value.strip(), self._jobs)
        if earlier is None:
            return
        self._earlier, wish = earlier, wish_of(earlier)
        filled = {"userId": wish.user_id, "repoSshUrl": wish.repo, "gitRef": wish.git_ref}
        if self._value("image"):
            filled = {"userId": wish.user_id}
        for field, value in filled.items():
            if not self._value(field):
                self.query_one(f"#{field}", Input).value = value

    def on_mount(self) -> None:
        """Begin where something is missing."""
        missing = [field for field in ("appId", "userId") if not self._value(field)]
        self.query_one(f"#{missing[0] if missing else 'gitRef'}", Input).focus()

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
        """Check the form and hand it over; the same order sent again is the same order to the control plane."""
        wish = Wish(*(self._value(field) for field in ("appId", "userId", "gitRef", "repoSshUrl", "image")))
        try:
            wanted = order(wish, self._earlier)
        except InvalidOrder as problem:
            self.refuse(t("{field} {problem}", field=problem.field, problem=problem.message))
            self.query_one(f"#{problem.field}", Input).focus()
            return
        if self._sent is None or self._sent[0] != wanted:
            self._sent = (wanted, uuid.uuid4().hex)
        self.refuse("")
        self.post_message(DeployWanted(*self._sent, self._plane))

    def refuse(self, sentence: str) -> None:
        """Say why nothing was deployed."""
        self.query_one("#form-problem", Static).update(Text(f"✗ {sentence}" if sentence else ""))

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()
