"""What a node says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from daemons.agent.domain.disk import DiskFigures
from daemons.agent.domain.vigil import Condition
from protocol.nodes import DiskLevel


@dataclass(frozen=True, slots=True)
class Collected:
    """One collection: the bytes that became free, how many images went, how many logs were cut. `number`
    counts those of this process."""

    number: int
    at: datetime
    freed_bytes: int
    images: int
    logs: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Illness:
    """An app that does not serve as it should: its `condition` is CRASHED or UNHEALTHY. Times are epoch seconds:
    `since` its last crash, or 0, and `restart_at` when it is started again, if it will be."""

    app_id: str
    condition: Condition
    reason: str
    since: float = 0.0
    crashes: int = 0
    restart_at: float | None = None


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node as it sees itself; what is unknown is None. `versions` and `problems` are by part (engine, gateway)."""

    disk: DiskFigures | None = None
    level: DiskLevel | None = None
    words: str = ""
    reserved_bytes: int = 0
    running: int | None = None
    containers: int | None = None
    load1: float | None = None
    cpus: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    collected: Collected | None = None
    unwell: Sequence[Illness] | None = None
