"""What of a build secret's text must not be seen in a log."""

from typing import Final

#: Shorter words stand in any log by chance.
_LEAST: Final = 8


def hidden_words(text: str) -> tuple[str, ...]:
    """The text, its lines, and what follows `=` or `:` in them: a token is often the end of a line of settings."""
    found: dict[str, None] = {}
    for line in (text, *text.splitlines()):
        for part in (line, line.partition("=")[2], line.rpartition("=")[2], line.partition(": ")[2]):
            word = part.strip().strip("\"'")
            if len(word) >= _LEAST:
                found[word] = None
    return tuple(found)
