"""Short texts: the headline, the choice of views, the status sentence and the details of the selected object."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from console.live.catalog import KEYS, VIEWS
from console.live.cells import Cell, Tone
from console.live.views.panels import Lines
from console.live.views.spec import ViewSpec
from console.live.words import later, t

_STYLE: Final[Mapping[Tone, str]] = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.QUIET: "$quiet",
    Tone.GOOD: "$text-success",
    Tone.BUSY: "$text-primary",
    Tone.WARN: "$text-warning",
    Tone.BAD: "$text-error",
}


class Escape(StrEnum):
    """What Esc does, depending on where the operator is."""

    OUT = later("Esc out")
    ROWS = later("Esc to the rows")
    FILTER = later("Esc clears the filter")
    SEARCH = later("Esc leaves the search")


class Line(Static):
    """Text of a fixed height; it is painted again only when it changed, and never laid out again."""

    def put(self, content: Content) -> None:
        """Show this from now on."""
        shown = self.content
        if not isinstance(shown, Content) or (shown.plain, shown.spans) != (content.plain, content.spans):
            self.update(content, layout=False)


class Headline(Line):
    """Connection, queue and the address of the control plane, in one line."""

    _shown: tuple[object, ...] = ()

    def show(self, link: Cell, totals: Sequence[Cell], place: str) -> None:
        """Show these; the address is left out when there is no room for it."""
        asked = (link, *totals, place, self.size.width)
        if asked == self._shown:
            return
        self._shown = asked
        parts = [(" funai  ", "bold"), *((f"{part.text}   ", _STYLE[part.tone]) for part in (link, *totals))]
        room = self.size.width - sum(cell_len(text) for text, _ in parts) - 1
        if cell_len(place) <= room:
            parts.append((" " * (room - cell_len(place)) + place, _STYLE[Tone.QUIET]))
        self.put(Content.assemble(*parts))


class Views(Line):
    """The names of the tables with their keys and sizes, the shown one marked; on a page deeper down the way to it."""

    _markup: str = ""
    _asked: tuple[object, ...] = ()

    def show(
        self, chosen: str, sizes: Mapping[str, int], crumbs: Sequence[str] = (), escape: Escape = Escape.OUT
    ) -> None:
        """Show the names, each of which can be clicked. Without room for all, those farthest away are keys alone."""
        asked = (chosen, dict(sizes), tuple(crumbs), escape, self.size.width)
        if asked == self._asked:
            return
        self._asked = asked
        if len(crumbs) > 1:
            self._show_way(crumbs, escape)
            return
        names = [view.name for view in VIEWS]
        here = names.index(chosen) if chosen in names else 0
        farthest = sorted(range(len(names)), key=lambda number: -abs(number - here))
        texts = [_named(view, sizes.get(view.name)) for view in VIEWS]
        shorter = [(number, _named(VIEWS[number], None)) for number in farthest if number != here]
        shortest = [(number, KEYS[names[number]]) for number in farthest if number != here]
        for number, text in (*shorter, *shortest):
            if sum(cell_len(each) + 3 for each in texts) + 1 <= self.size.width:
                break
            texts[number] = text
        parts = []
        for name, text in zip(names, texts, strict=True):
            look = "b reverse" if name == chosen else "$quiet"
            parts.append(f"[@click=screen.view('{name}')][{look}] {text} [/][/]")
        self._put_markup(" " + " ".join(parts))

    def _put_markup(self, markup: str) -> None:
        """Reading markup costs more than everything else that is done for a frame in which no size changed."""
        if markup != self._markup:
            self.put(Content.from_markup(markup))
            self._markup = markup

    def _show_way(self, crumbs: Sequence[str], escape: Escape) -> None:
        self._markup = ""
        way = [(f"{name} › ", "$quiet") for name in (t(crumbs[0]), *crumbs[1:-1])]
        room = self.size.width - sum(cell_len(name) for name, _ in way) - cell_len(crumbs[-1]) - 5
        hint = f"{t(escape.value)}  {t('[ back  ] forward')}"
        parts = [(" ", ""), *way, (f" {crumbs[-1]} ", "bold reverse")]
        if room >= cell_len(hint):
            parts.append((" " * (room - cell_len(hint)) + hint, "$quiet"))
        self.put(Content.assemble(*parts))


def _named(view: ViewSpec[Any], size: int | None) -> str:
    return f"{KEYS[view.name]} {t(view.title)}{'' if size is None else f' {size}'}"


class Panel(Line):
    """What stands above a table; as high as it has lines, up to what the style sheet allows."""

    def show(self, lines: Lines) -> None:
        """Show these lines."""
        parts: list[tuple[str, str]] = []
        for number, cells in enumerate(lines):
            parts += [("\n", "")] if number else []
            parts += [(cell.text, _STYLE[cell.tone]) for cell in cells]
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.put(Content.assemble(*parts))


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
