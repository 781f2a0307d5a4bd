"""How long to wait before something is tried again."""

from typing import Final

_FIRST_MS: Final = 1_000
_MOST_MS: Final = 300_000


def pause_ms(attempts: int) -> int:
    """After so many attempts: twice as long each time, at most five minutes."""
    return int(min(_FIRST_MS * 2.0 ** min(attempts - 1, 30), _MOST_MS))
