"""What becomes of an app that crashed or stopped answering: back to the old one, started again, or left alone.

Back-off as Kubernetes has it: the first restart is at once, then 10 s doubling to 5 min, forgotten after 10 min of
health. The engine restarts nothing by itself, so that exit code and OOM flag of every crash are still there to be told.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from daemons.agent.domain.configuration import RunConfig
from daemons.agent.domain.probing import Answer, ContainerState

FIRST_DELAY_SECONDS: Final = 10.0
LONGEST_DELAY_SECONDS: Final = 300.0
HEALTHY_SECONDS: Final = 600.0
#: So many probes in a row must fail: one may have met a pause of the app's garbage collection.
SICK_AFTER: Final = 3
PROBE_SECONDS: Final = 30.0
WATCH_PROBE_SECONDS: Final = 1.0
_KILLED: Final = 137


class Condition(StrEnum):
    """How an app stands on this node. CRASHED: waits for its restart, or will have none."""

    RUNNING = "RUNNING"
    WATCHED = "WATCHED"
    DEPLOYING = "DEPLOYING"
    UNHEALTHY = "UNHEALTHY"
    CRASHED = "CRASHED"
    ABSENT = "ABSENT"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Crashes since the last ten minutes of health. `at` is when the last one was seen, in epoch seconds; `down` until
    it was started again; `final` when it will not be."""

    crashes: int
    reason: str
    at: float
    down: bool = True
    final: bool = False

    @property
    def restart_at(self) -> float | None:
        """When it is to be started again, in epoch seconds."""
        return self.at + delay(self.crashes) if self.down and not self.final else None

    def due(self, now: float) -> bool:
        """Whether it is to be started now. A clock that was set back delays no restart."""
        return self.down and not self.final and (now < self.at or now >= self.at + delay(self.crashes))


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the probes of one container said; times are epoch seconds."""

    healthy_since: float | None = None
    failures: int = 0
    problem: str = ""
    next_at: float = 0.0

    @property
    def sick(self) -> bool:
        """Whether it does not answer for good, not by chance."""
        return self.failures >= SICK_AFTER


def delay(crashes: int) -> float:
    """Seconds from the crash with this number to the restart."""
    if crashes <= 1:
        return 0.0
    # The cap comes before the power: a number of crashes is not bounded.
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(crashes - 2, 10), LONGEST_DELAY_SECONDS)


def crashed(before: Trouble | None, reason: str, now: float, *, final: bool = False) -> Trouble:
    """One more crash."""
    return Trouble((before.crashes if before else 0) + 1, reason, now, final=final)


def restarted(trouble: Trouble) -> Trouble:
    """It runs again; whether it stays is yet to be seen."""
    return replace(trouble, down=False)


def forgotten(trouble: Trouble | None, pulse: Pulse, now: float) -> bool:
    """Whether the app has been well for long enough."""
    return trouble is not None and pulse.healthy_since is not None and now - pulse.healthy_since >= HEALTHY_SECONDS


def felt(pulse: Pulse, answer: Answer, now: float, *, watched: bool) -> Pulse:
    """The pulse after one more probe."""
    next_at = now + (WATCH_PROBE_SECONDS if watched else PROBE_SECONDS)
    if answer.healthy:
        since = pulse.healthy_since if pulse.healthy_since is not None else now
        return Pulse(healthy_since=since, next_at=next_at)
    failures = pulse.failures + 1
    # One failure is looked into at once; health is over only when it is certain.
    soon = min(next_at, now + WATCH_PROBE_SECONDS) if failures < SICK_AFTER else next_at
    return Pulse(pulse.healthy_since if failures < SICK_AFTER else None, failures, str(answer), soon)


def ending(found: ContainerState | None, config: RunConfig) -> str:
    """Why a container does not run, in words its owner can act on."""
    if found is None:
        return "its container is gone; deploy the app again"
    if found.oom_killed:
        return f"it was killed for using more than its {config.memory_bytes // 1024**2} MiB of memory (OOMKilled)"
    if found.exit_code == _KILLED:
        return "it was killed (SIGKILL, exit code 137), not for its memory"
    reason = f": {found.error}" if found.error else ""
    return f"it exited with code {found.exit_code}{reason}"


def final(found: ContainerState | None, config: RunConfig) -> bool:
    """Whether it stays down."""
    return found is None or not config.restarts(found.exit_code)
