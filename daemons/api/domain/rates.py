"""How often somebody may do something: so many at once, then one after each interval (GCRA, as ATM cells are policed).

All that is known of somebody is one moment, `owed_until`: when all that was taken will have been given back.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_ONE_HOME: Final = 64


class TooOften(Exception):
    """It is asked for too often; `retry_after` says in how many whole seconds it may be again."""

    def __init__(self, what: str, seconds: float) -> None:
        self.retry_after = max(1, int(-(-seconds // 1)))
        super().__init__(f"{what}; try again in {self.retry_after} s")
        self.data = {"retryAfterSeconds": self.retry_after}


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and `per_minute` in the long run."""

    burst: int
    per_minute: float

    def after(self, owed_until: float, now: float) -> tuple[float, float]:
        """Take one: what is owed from now on and 0, or what was owed before and how many seconds are to be waited."""
        interval = 60 / self.per_minute
        owed = max(owed_until, now) + interval
        wait = owed - now - self.burst * interval
        # A thousandth: what is due now must not fail by the last bits of a sum.
        return (owed, 0.0) if wait <= interval / 1000 else (owed_until, wait)

    def before(self, owed_until: float) -> float:
        """Give one back."""
        return owed_until - 60 / self.per_minute


@dataclass(frozen=True, slots=True)
class LoginRates:
    """Wrong passwords for one account, and attempts from one address."""

    account: Rate = Rate(10, 1)
    address: Rate = Rate(60, 20)


def origin(address: str) -> str:
    """Who counts as one caller: an IPv4 address; of IPv6 the network that one home has."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, IPv6Address):
        return str(ip_network((known, _ONE_HOME), strict=False))
    return str(known)
