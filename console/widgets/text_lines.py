"""Short texts: the headline, the choice of views, the status sentence and the details of the selected object."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from console.live.catalog import VIEWS
from console.live.cells import Cell, Tone
from console.live.words import t

_STYLE: Final[Mapping[Tone, str]] = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.QUIET: "$quiet",
    Tone.GOOD: "$text-success",
    Tone.BUSY: "$text-primary",
    Tone.WARN: "$text-warning",
    Tone.BAD: "$text-error",
}


class Line(Static):
    """Text of a fixed height; it is painted again only when it changed, and never laid out again."""

    def put(self, content: Content) -> None:
        """Show this from now on."""
        shown = self.content
        if not isinstance(shown, Content) or (shown.plain, shown.spans) != (content.plain, content.spans):
            self.update(content, layout=False)


class Headline(Line):
    """Connection, queue and the address of the control plane, in one line."""

    def show(self, link: Cell, totals: Sequence[Cell], place: str) -> None:
        """Show these; the address is left out when there is no room for it."""
        parts = [(" funai  ", "bold"), *((f"{part.text}   ", _STYLE[part.tone]) for part in (link, *totals))]
        room = self.size.width - sum(cell_len(text) for text, _ in parts) - 1
        if cell_len(place) <= room:
            parts.append((place.rjust(room), _STYLE[Tone.QUIET]))
        self.put(Content.assemble(*parts))


class Views(Line):
    """The names of the tables with their keys and sizes; the shown one is marked."""

    def show(self, chosen: str, sizes: Mapping[str, int]) -> None:
        """Show the names; each can be clicked."""
        parts = []
        for number, view in enumerate(VIEWS, start=1):
            name = f"{number} {t(view.title)} {sizes.get(view.name, 0)}"
            mark = f"[b reverse] {name} [/]" if view.name == chosen else f"[$quiet] {name} [/]"
            parts.append(f"[@click=screen.view('{view.name}')]{mark}[/]")
        self.put(Content.from_markup(" " + " ".join(parts)))


class Details(Line):
    """Up to three lines about the selected object."""

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines."""
        self.put(Content("\n".join(lines)))


class Status(Line):
    """The last thing that happened, in one sentence."""

    def say(self, sentence: str, *, problem: bool = False) -> None:
        """Show it until the next one."""
        self.set_class(problem, "-problem")
        self.put(Content(f"{'✗ ' if problem else ''}{sentence}"))
