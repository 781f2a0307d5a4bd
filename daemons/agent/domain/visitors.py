"""What visitors have under way, how long an old container waits, and what they are told when nothing answers."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from daemons.agent.domain.apps import AppState


class Notice(StrEnum):
    """Why nothing answers for an app; the value names the gateway's page."""

    STARTING = "starting"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class InFlight:
    """What one container serves: ordinary requests, WebSockets, server-sent event streams."""

    requests: int = 0
    sockets: int = 0
    streams: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.requests + self.sockets + self.streams


@dataclass(frozen=True, slots=True)
class Patience:
    """The longest wait in seconds for ordinary requests, and for WebSockets and event streams."""

    requests_seconds: float
    streams_seconds: float = 0


def worth_waiting(left: InFlight, waited_seconds: float, patience: Patience) -> bool:
    """Whether something is left whose time is not up."""
    return (left.requests > 0 and waited_seconds < patience.requests_seconds) or (
        left.sockets + left.streams > 0 and waited_seconds < patience.streams_seconds
    )


def notice(state: AppState, running: AbstractSet[str]) -> Notice | None:
    """What visitors of the app are told while nothing answers, given the names of containers that run."""
    if state.current is not None:
        return None if state.current.container in running else Notice.CRASHED
    return Notice.STARTING if state.candidate is not None else None
