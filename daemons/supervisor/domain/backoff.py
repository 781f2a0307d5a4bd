"""How long to wait before a child that ended is started again."""

from dataclasses import dataclass
from typing import Final

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0
EX_CONFIG: Final = 78


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait doubles from 0.2 s to 10 s and starts over once a child stayed up for 30 s.

    A child that refuses its configuration waits the longest time at once: nothing changes until somebody mends it.
    """

    failures: int = 0

    def after(self, *, up_seconds: float, exit_code: int) -> tuple["Backoff", float]:
        """The next state and the seconds to wait now."""
        failures = 0 if up_seconds >= STEADY_SECONDS else self.failures
        wait = min(FIRST_SECONDS * 2**failures, LONGEST_SECONDS)
        if exit_code == EX_CONFIG:
            wait = LONGEST_SECONDS
        return Backoff(min(failures + 1, 16)), wait
