"""A platform as the console last saw it: one frozen value, keyed by id, with the time it was true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from console.live.beside import Beside
from console.live.keyed import Keyed

if TYPE_CHECKING:
    from protocol.apps import AppRunView
    from protocol.jobs import JobView
    from protocol.nodes import NodeView, PlacementView, RunnerView

#: How often the control plane sends a beat while nothing happens; after three that did not come the data is stale.
BEAT_SECONDS: Final = 5.0
STALE_SECONDS: Final = 3 * BEAT_SECONDS


class Clock(Protocol):
    """A clock that only ever goes forward; where it starts means nothing."""

    def monotonic(self) -> float:
        """Seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that is shown of one control plane, as of event `seq`.

    `at` is the server's time at the moment `heard_at` of the local clock; ages and countdowns are computed from both,
    so the operator's own wall clock never matters. All ids are text, also the numbers of nodes.
    """

    seq: int
    at: datetime
    heard_at: float
    snapshot_at: float
    jobs: "Keyed[JobView]" = field(default_factory=Keyed)
    nodes: "Keyed[NodeView]" = field(default_factory=Keyed)
    runners: "Keyed[RunnerView]" = field(default_factory=Keyed)
    placements: "Keyed[PlacementView]" = field(default_factory=Keyed)
    apps: "Keyed[AppRunView]" = field(default_factory=Keyed)
    beside: Beside = field(default_factory=Beside)

    def server_time(self, local: float) -> datetime:
        """The server's clock at the local moment `local` (seconds of the same monotonic clock)."""
        return self.at + timedelta(seconds=local - self.heard_at)


class LinkState(StrEnum):
    """Whether the console hears the control plane."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True)
class Link:
    """The connection: when something was last heard, when the next attempt is due and why the last one failed.

    Times are seconds of the local monotonic clock.
    """

    state: LinkState = LinkState.CONNECTING
    heard_at: float | None = None
    retry_at: float | None = None
    problem: str | None = None

    def age(self, local: float) -> float | None:
        """Seconds since the control plane was last heard; None before the first time."""
        return None if self.heard_at is None else max(0.0, local - self.heard_at)

    def fresh(self, local: float) -> bool:
        """Whether what is shown is what is: actions are taken on fresh data only."""
        age = self.age(local)
        return self.state is LinkState.LIVE and age is not None and age <= STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Live:
    """What the feed publishes of one control plane: the model (None before the first snapshot) and the connection."""

    model: Model | None = None
    link: Link = Link()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is shown: each control plane by the name that the operator gave it.

    A console of one control plane has one, named with the empty text: names appear where there are several.
    """

    planes: Mapping[str, Live] = field(default_factory=lambda: MappingProxyType({}))

    def with_plane(self, name: str, live: Live) -> "World":
        """The world after news of one control plane."""
        return World(MappingProxyType({**self.planes, name: live}))


@dataclass(frozen=True, slots=True)
class Scene:
    """What cells are made from: the model of the object's own control plane, that server's time now, and whether it is
    heard (`fresh`)."""

    model: Model
    now: datetime
    plane: str = ""
    fresh: bool = True
