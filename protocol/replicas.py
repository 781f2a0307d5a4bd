"""What operators see of several control planes on one database."""

from datetime import datetime

from protocol.base import Wire


class SingletonView(Wire):
    """Work that one replica does: `holder` does it until `leaseUntil` unless it renews; `held` is false when nobody
    does. `epoch` counts the takeovers."""

    name: str
    holder: str
    epoch: int
    since: datetime
    lease_until: datetime
    held: bool
