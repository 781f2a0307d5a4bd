"""A screen over another one, which shows through it dimmed."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, Generic, cast

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color
from textual.css.styles import RulesMap
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import Button
from textual.widgets.button import ButtonVariant

from console.live.words import t


class Answer(Enum):
    """What a button does: nothing, what was asked for, or what takes something away."""

    BACK = "back"
    DO = "do"
    DESTROY = "destroy"


#: The sign says without colours what the variant says with them.
_ANSWERS: Final[Mapping[Answer, tuple[str, ButtonVariant]]] = {
    Answer.BACK: ("", "default"),
    Answer.DO: ("» ", "primary"),
    Answer.DESTROY: ("! ", "error"),
}


def answer(kind: Answer, words: str, *, id: str, disabled: bool = False) -> Button:
    """A button of a dialog; `words` are the English ones."""
    sign, variant = _ANSWERS[kind]
    return Button(f"{sign}{t(words)}", id=id, compact=True, variant=variant, disabled=disabled)


class Modal(ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """Every question, form and list of the console is one."""

    def render(self) -> RenderableType:
        """What lies behind, dimmed: a visual, which a screen may answer as every other widget does."""
        found = super().render()
        if not isinstance(found, BackgroundScreen):
            return found
        return cast(RenderableType, _Behind(found.screen, found.color))


class _Behind(Visual):
    """The lines of the screen behind as they were painted, in dimmed colours.

    Textual renders them to one text and splits that into lines again, and mixes the colours of every piece of it: that
    took longer than everything else that a question needs to be seen.
    """

    def __init__(self, screen: Screen[object], color: Color) -> None:
        self._screen = screen
        self._color = color

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """So many lines of them."""
        under, color = style.rich_style, self._color
        return [
            Strip([Segment(each.text, _dimmed(each.style, under, color)) for each in line if not each.control]).crop(
                0, width
            )
            for line in self._screen._compositor.render_strips()[:height]
        ]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """All there is."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """That of the screen."""
        return self._screen.size.height


@lru_cache(maxsize=4096)
def _dimmed(style: RichStyle | None, under: RichStyle, color: Color) -> RichStyle | None:
    (made,) = BackgroundScreen.process_segments((Segment("", style),), color)
    return under + made.style if made.style is not None else under
