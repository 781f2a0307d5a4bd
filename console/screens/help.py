"""Every key and what it does, read from the bindings themselves."""

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.live.cells import DRAIN_PERCENT, FLOOR_PERCENT
from console.live.words import later, t
from console.widgets.modal import Modal

_SIGNS = (
    ("○ ▶ ✓ ✗ –", later("a job is pending, running, succeeded, failed, cancelled")),
    (
        "███│██│···",
        later("free space; the marks are {floor} % (no deployments) and {drain} % (no new apps)"),
    ),
    ("! and !!", later("below the second and below the first mark")),
    ("▸", later("the selected object: actions are meant for it and never for the row it stood in")),
)

_MARKS = {"floor": f"{FLOOR_PERCENT:.0f}", "drain": f"{DRAIN_PERCENT:.0f}"}


class Help(Modal[None]):
    """Closed by the keys that people try."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, groups: Iterable[tuple[str, Iterable[Binding]]]) -> None:
        super().__init__()
        self._groups = tuple((title, tuple(bindings)) for title, bindings in groups)

    def compose(self) -> ComposeResult:
        """One table of keys and one of signs."""
        with VerticalScroll(classes="dialog dialog-wide"):
            yield Static(t("Keys"), classes="dialog-title")
            yield Static(self._keys())
            yield Static(t("Signs"), classes="dialog-title")
            yield Static(_two_columns((sign, t(words, **_MARKS)) for sign, words in _SIGNS))

    def _shown(self, binding: Binding) -> str:
        """The key; of what has none, what is typed after `:`."""
        return f":{binding.id}" if binding.key.startswith("<") else self.app.get_key_display(binding)

    def _keys(self) -> Table:
        lines: list[tuple[str, str]] = []
        for title, bindings in self._groups:
            lines.append((f"[b]{t(title)}[/b]", ""))
            by_action: dict[str, tuple[list[str], str]] = {}
            for binding in bindings:
                keys, _ = by_action.setdefault(binding.action, ([], t(binding.tooltip or binding.description)))
                keys.append(self._shown(binding))
            lines += [(" ".join(keys), words) for keys, words in by_action.values() if words]
        return _two_columns(lines)


def _two_columns(lines: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=12)
    table.add_column()
    for left, right in lines:
        table.add_row(left, right)
    return table
