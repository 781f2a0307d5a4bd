"""The colours of the console. Words and signs carry the meaning; a colour repeats it and never says more. Pure.

Every text has a contrast of at least 4.5 to 1 on what it stands on (WCAG 2.1, criterion 1.4.3), the cursor and dialogs
included: a test draws every view in every theme and measures it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by role. `good`, `busy`, `warn` and `bad` tell states; `quiet` is for what matters less; `cursor_focus`
    lies under the chosen row of the table that has the keys. With `ansi` they are the terminal's own sixteen."""

    foreground: str
    background: str
    panel: str
    quiet: str
    primary: str
    secondary: str
    accent: str
    good: str
    busy: str
    warn: str
    bad: str
    cursor: str
    cursor_focus: str
    dark: bool = True
    ansi: bool = False
    #: More of Textual's own variables, by their names.
    more: Mapping[str, str] = field(default_factory=dict)


DARK: Final = "dark"

_DARK: Final = Palette(
    foreground="#d5dae3",
    background="#14171d",
    panel="#1c2129",
    quiet="#a9b1c0",
    primary="#7aa2d6",
    secondary="#8f9bb3",
    accent="#d6a35c",
    good="#a4ccaa",
    busy="#a1bde2",
    warn="#e3bb70",
    bad="#eb9ba2",
    cursor="#26344a",
    cursor_focus="#2a3d5c",
)

_LIGHT: Final = Palette(
    foreground="#1f242c",
    background="#fbfbf9",
    panel="#ecedea",
    quiet="#4f5866",
    primary="#1f5aa6",
    secondary="#4a5668",
    accent="#7a4a00",
    good="#1f5f2b",
    busy="#1b4f93",
    warn="#6e4600",
    bad="#9c1626",
    cursor="#dbe5f3",
    cursor_focus="#cbdcf2",
    dark=False,
)

#: Blue for good and orange for bad, which people who cannot tell red from green tell apart (Okabe and Ito, 2008).
_COLOUR_BLIND: Final = Palette(
    foreground="#e4e6ea",
    background="#101318",
    panel="#1a1f27",
    quiet="#b0b6c2",
    primary="#7fbce8",
    secondary="#9aa5b5",
    accent="#e6c229",
    good="#6cc0f0",
    busy="#d9dde4",
    warn="#f0e442",
    bad="#ffa05c",
    cursor="#26303f",
    cursor_focus="#2b3a52",
)

#: For terminals of sixteen colours, and for people who chose those of theirs.
_ANSI: Final = Palette(
    foreground="ansi_default",
    background="ansi_default",
    panel="ansi_default",
    quiet="ansi_default",
    primary="ansi_bright_blue",
    secondary="ansi_bright_cyan",
    accent="ansi_bright_yellow",
    good="ansi_bright_green",
    busy="ansi_bright_cyan",
    warn="ansi_bright_yellow",
    bad="ansi_bright_red",
    cursor="ansi_white",
    cursor_focus="ansi_white",
    ansi=True,
    more={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border": "ansi_white",
        "scrollbar": "ansi_white",
        "scrollbar-background": "ansi_black",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-text-style": "none",
        "input-selection-background": "ansi_white",
        "input-selection-foreground": "ansi_black",
        "footer-key-foreground": "ansi_bright_yellow",
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "foreground-muted": "ansi_default",
    },
)

THEMES: Final[Mapping[str, Palette]] = {
    DARK: _DARK,
    "light": _LIGHT,
    "colour-blind": _COLOUR_BLIND,
    "ansi": _ANSI,
}


def look_of(name: str | None) -> str:
    """The theme of that name; the usual one where it is not known: a wrong name must not keep anybody out."""
    return name if name is not None and name in THEMES else DARK


def variables(palette: Palette) -> Mapping[str, str]:
    """What style sheets call by name, besides the colours that every theme has."""
    return {
        "quiet": palette.quiet,
        "cursor": palette.cursor,
        "cursor-focus": palette.cursor_focus,
        "text-success": palette.good,
        "text-primary": palette.busy,
        "text-warning": palette.warn,
        "text-error": palette.bad,
        "footer-key-foreground": palette.accent,
        **palette.more,
    }
