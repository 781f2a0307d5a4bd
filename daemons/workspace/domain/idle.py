"""When a workspace that nobody uses is frozen, and when it is stopped.

What counts as use: calls for the user, what is typed and written in terminals, visits, bytes that reach the container,
work of its processors, a build that goes on. What does not: an open connection by itself, pings, a page that asks
whether anything is new (2i2c-org/infrastructure#2586, jupyterhub/jupyterhub#1498: one is never stopped for it, the
other is stopped in the middle of a computation).
"""

from dataclasses import dataclass
from enum import Enum, auto

from daemons.workspace.domain.workspaces import Phase, Workspace


class Fate(Enum):
    """What is to be done with it now."""

    KEEP = auto()
    FREEZE = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """Minutes without use until it is frozen, and until it is stopped; 0: never."""

    freeze_minutes: int
    stop_minutes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container used in all: processor time in nanoseconds, and bytes that reached it."""

    at_ms: int
    cpu_ns: int
    received_bytes: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a container uses: per cent of one processor (None: not known yet), and bytes of memory without what the
    kernel keeps of files."""

    cpu_pct: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Busy:
    """What a container must do to count as used: a share of one processor, bytes a minute that reach it."""

    cpu_share: float = 0.05
    bytes_a_minute: int = 64 * 1024


def works(before: Sample, now: Sample, busy: Busy) -> bool:
    """Whether the container did enough between the two to count as used. One that was started anew counts from zero."""
    passed = max(1, now.at_ms - before.at_ms)
    cpu = now.cpu_ns - before.cpu_ns if now.cpu_ns >= before.cpu_ns else now.cpu_ns
    received = now.received_bytes - before.received_bytes
    received = received if received >= 0 else now.received_bytes
    return cpu > busy.cpu_share * passed * 1_000_000 or received * 60_000 > busy.bytes_a_minute * passed


def measured(before: Sample | None, now: Sample) -> Measured:
    """What it used between the two."""
    if before is None or now.cpu_ns < before.cpu_ns or now.at_ms <= before.at_ms:
        return Measured(None, now.memory_bytes)
    share = (now.cpu_ns - before.cpu_ns) / (now.at_ms - before.at_ms) / 1_000_000
    return Measured(round(100 * share, 1), now.memory_bytes)


def fate(workspace: Workspace, patience: Patience, now_ms: int) -> Fate:
    """What its time without use asks for."""
    idle = now_ms - workspace.used_at_ms
    if workspace.phase not in (Phase.RUNNING, Phase.FROZEN):
        return Fate.KEEP
    if patience.stop_minutes and idle >= patience.stop_minutes * 60_000:
        return Fate.STOP
    if workspace.phase is Phase.RUNNING and patience.freeze_minutes and idle >= patience.freeze_minutes * 60_000:
        return Fate.FREEZE
    return Fate.KEEP
