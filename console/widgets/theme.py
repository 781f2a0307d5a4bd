"""A palette as Textual wants it."""

from textual.theme import Theme

from console.live.themes import THEMES, variables


def theme_of(name: str) -> Theme:
    """A palette as Textual wants it."""
    palette = THEMES[name]
    return Theme(
        name=f"funai-{name}",
        primary=palette.primary,
        secondary=palette.secondary,
        accent=palette.accent,
        success=palette.good,
        warning=palette.warn,
        error=palette.bad,
        foreground=palette.foreground,
        background=palette.background,
        surface=palette.background,
        panel=palette.panel,
        dark=palette.dark,
        ansi=palette.ansi,
        variables=dict(variables(palette)),
    )
