"""Counts how often somebody does something, in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

from daemons.api.domain.rates import Rate, TooOften


class Limits:
    """One rate for many callers. At most `most` of them are remembered; the one who was seen last longest ago is
    forgotten first."""

    def __init__(self, what: str, rate: Rate, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` begins the refusal; `clock` gives seconds that never go back."""
        self._what = what
        self._rate = rate
        self._most = most
        self._clock = clock
        self._owed: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str) -> None:
        """One more. Raises TooOften."""
        now = self._clock()
        owed, wait = self._rate.after(self._owed.get(caller, now), now)
        self._owed[caller] = owed
        self._owed.move_to_end(caller)
        while len(self._owed) > self._most:
            self._owed.popitem(last=False)
        if wait:
            raise TooOften(self._what, wait)

    def give_back(self, caller: str) -> None:
        """The last one does not count."""
        if caller in self._owed:
            self._owed[caller] = self._rate.before(self._owed[caller])
