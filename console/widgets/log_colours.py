"""The colours of a log, on whatever theme: a program's own colours are kept as far as they can be read."""

from typing import Final

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color
from textual.widget import Widget

from console.live.logs.colours import Colour, Look
from console.live.logs.paper import Part

_READABLE: Final = 4.5
_STEPS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The 16 colours of a terminal, in the manner of the common ones; those of the operator's own terminal are not known.
_SIXTEEN: Final = (
    "#1c2129", "#e0707a", "#7fb685", "#d9a441", "#7aa2d6", "#b58fd6", "#6fbcc4", "#d5dae3",
    "#8f9bb3", "#f08c95", "#9bd3a1", "#f0c060", "#9dbff0", "#d0aaf0", "#90d8e0", "#ffffff",
)  # fmt: skip


class Palette:
    """Styles of one widget in its present theme, remembered; `base` is what it has itself."""

    def __init__(self, widget: Widget, base: Style) -> None:
        self.base = base
        self._widget = widget
        self._ground = widget.background_colors[1]
        self._fore = widget.colors[3]
        self._known: dict[tuple[Part, Look], Style] = {}

    def style(self, part: Part, look: Look) -> Style:
        """How text of this part and look is written."""
        known = self._known.get((part, look))
        if known is None:
            usual = self._widget.get_component_rich_style(f"log-view--{part.value}", partial=True)
            known = self._known[part, look] = self.base + usual + self._own(look)
        return known

    def _own(self, look: Look) -> Style:
        text, under = self._color(look.text), self._color(look.under)
        if look.reverse:
            text, under = under or self._ground, text or self._fore
        if text is not None or under is not None:
            text = readable(text or self._fore, under or self._ground)
        return Style(
            color=None if text is None else _rich(text),
            bgcolor=None if under is None else _rich(under),
            bold=look.bold or None,
            dim=look.dim or None,
            italic=look.italic or None,
            underline=look.underline or None,
            strike=look.strike or None,
        )

    def _color(self, colour: Colour | None) -> Color | None:
        if colour is None:
            return None
        if isinstance(colour, tuple):
            return Color(*colour)
        if colour < len(_SIXTEEN):
            return Color.parse(_SIXTEEN[colour])
        triplet = RichColor.from_ansi(colour).get_truecolor()
        return Color(*triplet)


def readable(text: Color, ground: Color) -> Color:
    """The text's colour, made lighter or darker until it can be read on this ground (4.5 to 1, WCAG 2.2, 1.4.3)."""
    away = (
        Color(255, 255, 255)
        if contrast(Color(255, 255, 255), ground) > contrast(Color(0, 0, 0), ground)
        else Color(0, 0, 0)
    )
    for step in _STEPS:
        found = text.blend(away, step)
        if contrast(found, ground) >= _READABLE:
            return found
    return away


def contrast(one: Color, other: Color) -> float:
    """The ratio of two colours' luminances (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _rich(color: Color) -> RichColor:
    return RichColor.from_rgb(color.r, color.g, color.b)
