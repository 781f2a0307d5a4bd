"""The command line (`:`) and the palette (ctrl+p): a few letters of anything, then Enter."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option as Line

from console.live.actions.palette import Entry
from console.live.words import t
from console.widgets.modal import Modal


class Palette(Modal[Entry | None]):
    """Dismissed with what was chosen. `search` says what was probably meant, best first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "leave", "Back", id="palette.back"),
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
        Binding("tab", "complete", "Complete", show=False, priority=True, id="palette.complete"),
    ]

    def __init__(self, search: Callable[[str], Sequence[Entry]]) -> None:
        super().__init__()
        self._search = search
        self._shown: Sequence[Entry] = ()

    def compose(self) -> ComposeResult:
        """A line to type in over what it finds."""
        with Vertical(classes="dialog dialog-wide"):
            hint = t("an action, an object, a view: cancel 7c1e, nodes, 20001")
            yield Input(placeholder=hint, id="typed-command")
            yield OptionList(id="found", compact=True)

    def on_mount(self) -> None:
        """Begin with what can be done."""
        self.query_one(Input).focus()
        self.query_one("#found").can_focus = False
        self._find("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while typing."""
        self._find(event.value)

    def _find(self, typed: str) -> None:
        self._shown = self._search(typed)
        listed = self.query_one("#found", OptionList)
        listed.clear_options()
        listed.add_options([Line(_words(entry)) for entry in self._shown])
        listed.highlighted = 0 if self._shown else None

    def on_input_submitted(self) -> None:
        """Take what is marked."""
        entry = self._marked()
        if entry is not None:
            self.dismiss(entry)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take what was clicked."""
        self.dismiss(self._shown[event.option_index])

    def _marked(self) -> Entry | None:
        number = self.query_one("#found", OptionList).highlighted
        return self._shown[number] if number is not None and number < len(self._shown) else None

    def action_move(self, steps: int) -> None:
        """Mark another line."""
        listed = self.query_one("#found", OptionList)
        if steps > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()

    def action_complete(self) -> None:
        """Type what is marked, to go on from there."""
        entry = self._marked()
        if entry is not None:
            typed = self.query_one(Input)
            typed.value = f"{entry.action.partition('.')[2] if entry.action and not entry.key else entry.label} "
            typed.cursor_position = len(typed.value)

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)


def _words(entry: Entry) -> Text:
    text = Text(entry.label, no_wrap=True, overflow="ellipsis")
    if entry.note:
        text.append(f"  {entry.note}", style="italic")
    return text
