"""A clock that runs as another one does, but later."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemons.kit.clock import Clock


@dataclass
class Later:
    """So many seconds later than `clock`."""

    clock: Clock
    seconds: float

    def now(self) -> datetime:
        """So much later."""
        return self.clock.now() + timedelta(seconds=self.seconds)
