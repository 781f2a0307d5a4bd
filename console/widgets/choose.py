"""A choice that an action needs: which release, which node, which plan. Esc chooses none."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as Line

from console.live.actions.spec import Option
from console.live.words import t
from console.widgets.modal import Modal


class Choose(Modal[Option | None]):
    """Dismissed with the chosen option; those that cannot be chosen say why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "none", "Back", id="choose.back"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, title: str, options: Sequence[Option]) -> None:
        super().__init__()
        self._title = title
        self._options = {option.key: option for option in options}

    def compose(self) -> ComposeResult:
        """The title and a line for each option."""
        with Vertical(classes="dialog dialog-wide"):
            yield Static(Text(self._title), classes="dialog-title")
            yield OptionList(*map(_line, self._options.values()), id="options", compact=True)

    def on_mount(self) -> None:
        """Begin at the first that can be chosen."""
        listed = self.query_one(OptionList)
        free = (number for number, option in enumerate(self._options.values()) if option.refusal is None)
        listed.highlighted = next(free, None)
        listed.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose."""
        self.dismiss(self._options[event.option_id or ""])

    def action_down(self) -> None:
        """The next option."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The option before."""
        self.query_one(OptionList).action_cursor_up()

    def action_none(self) -> None:
        """Choose nothing."""
        self.dismiss(None)


def _line(option: Option) -> Line:
    words = option.label
    if option.refusal is not None:
        words = t("{option} · no: {why}", option=option.label, why=option.refusal)
    return Line(Text(words, no_wrap=True, overflow="ellipsis"), id=option.key, disabled=option.refusal is not None)
