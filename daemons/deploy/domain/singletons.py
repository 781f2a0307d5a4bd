"""Work that exactly one replica does: who does it, until when, and when another takes it over.

A holder has a lease by the database's clock. Every takeover raises the epoch, so that work which was begun under an
older one can be told and refused.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Holding:
    """One row: `holder` does the work called `name` until `until`; `since` is when it took it. Times in epoch ms."""

    name: str
    holder: str
    epoch: int
    since: int
    until: int


def held(holding: Holding, holder: str, now: int) -> bool:
    """Whether `holder` may work."""
    return holding.holder == holder and holding.until > now


def following(current: Holding | None, name: str, holder: str, lease_ms: int, now: int) -> Holding | None:
    """The row as this replica should write it; None when there is nothing to write.

    Another's lease that has not ended is left alone, and so is an own one of which two thirds are left.
    """
    if current is None:
        return Holding(name, holder, 1, now, now + lease_ms)
    if current.until <= now:
        return Holding(name, holder, current.epoch + 1, now, now + lease_ms)
    if current.holder == holder and current.until - now < lease_ms * 2 // 3:
        return replace(current, until=now + lease_ms)
    return None
