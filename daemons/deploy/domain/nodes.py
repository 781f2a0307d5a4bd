"""Runtime nodes, placements, runners and the last known state of apps. Times are epoch milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuntimeNode:
    """A machine that runs apps; the figures are those of its last heartbeat."""

    id: int
    name: str
    agent_base_url: str | None
    gateway_base_url: str | None
    enabled: bool = True
    weight: int = 100
    last_heartbeat_at: int | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    inodes_free_pct: float | None = None
    container_count: int | None = None
    interval_seconds: float | None = None
    version: str | None = None
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Which node an app lives on."""

    app_id: str
    node_id: int
    last_active_at: int
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class AppRun:
    """The last known state of an app; `last_deployed_at` only moves on success."""

    app_id: str
    node_id: int | None = None
    last_job_id: str | None = None
    last_job_status: str | None = None
    last_error: str | None = None
    last_deployed_at: int | None = None
    last_active_at: int | None = None


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner as last heard of."""

    id: str
    last_seen_at: int
    slots: int | None = None
    version: str | None = None
    host: str | None = None
