"""Which logs of ended attempts are given up: those that nobody took for too long, and the oldest of too many bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.runner.domain.plan import Attempt


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long, in seconds, and how many bytes of logs are kept that the control plane did not take yet."""

    seconds: float = 24 * 3600
    bytes: int = 1024**3


@dataclass(frozen=True, slots=True)
class Leftover:
    """The log of an ended attempt, on this runner's disk; `age` in seconds since its last byte."""

    name: str
    attempt: Attempt
    length: int
    age: float


def given_up(found: Sequence[Leftover], keeping: Keeping) -> tuple[Leftover, ...]:
    """Those of `found` that go, the oldest first."""
    gone, held = [], 0
    for each in sorted(found, key=lambda leftover: leftover.age):
        held += each.length
        if each.age > keeping.seconds or held > keeping.bytes:
            gone.append(each)
    return tuple(reversed(gone))
