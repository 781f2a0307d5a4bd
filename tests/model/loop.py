"""An event loop in which waiting costs nothing: time stands still while anybody has something to do, and jumps to the
next timer when nobody has.

Without threads and sockets the order of all steps follows from the program alone, so a schedule can be repeated. Real
sockets (of a server and its clients in this process, and of a database) are looked at before time jumps.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, Final

_STALLED_SECONDS: Final = 0.01


class Deadlock(Exception):
    """Nobody has anything to do, and nobody waits for a time."""


class _Selector(selectors.DefaultSelector):
    """Looks at the sockets without waiting, unless somebody outside works for us."""

    loop: "OwnTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        found = super().select(0) if loop.sockets else []
        if found or (timeout is not None and timeout <= 0):
            return found
        if loop.busy():
            found = super().select(_STALLED_SECONDS)
            if found or timeout is None or not loop.may_jump():
                return found
        if timeout is None:
            raise Deadlock("the schedule waits for something that nobody will do")
        loop.pass_(timeout)
        return []


class OwnTimeLoop(asyncio.SelectorEventLoop):
    """`sockets` says whether there are any to look at; `busy` whether an answer from outside is still to come: then
    time jumps only after nothing happened for a while, and only if `may_jump` says that somebody here may be what the
    outside waits for (with a lock, say)."""

    def __init__(self, *, sockets: bool = False) -> None:
        selector = _Selector()
        selector.loop = self
        self.sockets = sockets
        self.busy: Callable[[], Any] = lambda: False
        self.may_jump: Callable[[], Any] = lambda: False
        self._seconds = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """What the program gives to a thread is done here and now: threads would end in any order."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds
