"""A screen over another one, which shows through it dimmed."""

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, Generic

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, ScreenResultType
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
        """What lies behind, dimmed."""
        found = super().render()
        return _Dimmed(found.screen, found.color) if isinstance(found, BackgroundScreen) else found


class _Dimmed(BackgroundScreen):
    """As Textual dims, but each style once: a screen has a thousand segments of a few dozen styles, and mixing the
    colours of every one of them took longer than everything else that a question needs to be seen."""

    @classmethod
    def process_segments(cls, segments: Iterable[Segment], color: Color) -> Iterable[Segment]:
        """The segments in dimmed colours, without links."""
        for segment in segments:
            yield segment if segment.control else Segment(segment.text, _dimmed(segment.style, color))


@lru_cache(maxsize=4096)
def _dimmed(style: Style | None, color: Color) -> Style | None:
    (made,) = BackgroundScreen.process_segments((Segment("", style),), color)
    return made.style
