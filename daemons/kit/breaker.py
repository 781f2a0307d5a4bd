"""Stops calls to a server that does not answer, so that they fail at once instead of queueing up.

Times are seconds of one clock that never goes back; who calls says what time it is.
"""

from typing import Final

REST_SECONDS: Final = 1.0
#: A call that was given less time than this says nothing about the server.
_TELLING_SECONDS: Final = 0.25


class Breaker:
    """Open after a refused connection, and after a call without an answer while no other call got one either.

    While it is open one call in `REST_SECONDS` is let through; the first answer closes it.
    """

    def __init__(self, rest_seconds: float = REST_SECONDS) -> None:
        self._rest = rest_seconds
        self._open = False
        self._until = 0.0
        self._answered = self._opened = float("-inf")

    def admits(self, now: float) -> bool:
        """Whether a call may be made now."""
        if not self._open:
            return True
        if now < self._until:
            return False
        self._until = now + self._rest
        return True

    def answered(self, now: float) -> None:
        """The server answered something."""
        self._answered = now
        self._open = False

    def silent(self, asked: float, now: float) -> None:
        """A call that was made at `asked` was given up without an answer."""
        if self._answered < asked and now - asked >= _TELLING_SECONDS:
            self.refused(now)

    def refused(self, now: float) -> None:
        """No connection could be made."""
        self._open = True
        self._opened = now
        self._until = now + self._rest

    def opened_since(self, moment: float) -> bool:
        """Whether it is open and was opened, once more perhaps, after that moment."""
        return self._open and self._opened > moment
