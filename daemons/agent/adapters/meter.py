"""The agent's figures of its disk, for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from daemons.agent.domain.disk import DiskFigures
from protocol.nodes import DiskLevel

_GRAVITY: Final = {level: number for number, level in enumerate(DiskLevel)}


class PrometheusDiskMeter:
    """Room, level, reservations, what collections freed, what was refused."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._free = Gauge("funai_agent_disk_free_bytes", "Free bytes of the engine's disk", registry=registry)
        self._inodes = Gauge("funai_agent_inodes_free", "Free inodes of the engine's disk", registry=registry)
        self._level = Gauge(
            "funai_agent_disk_level", "0 ok, 1 no new apps, 2 no pulls, 3 stops only", registry=registry
        )
        self._reserved = Gauge("funai_agent_reserved_bytes", "Bytes kept for pulls under way", registry=registry)
        self._freed = Counter("funai_agent_collected_bytes", "Bytes that collections freed", registry=registry)
        self._removed = Counter(
            "funai_agent_collected", "What collections removed: images and logs", ["what"], registry=registry
        )
        self._refused = Counter("funai_agent_pulls_refused", "Images not pulled", ["why"], registry=registry)

    def measured(self, figures: DiskFigures, level: DiskLevel, reserved_bytes: int) -> None:
        """The disk was looked at."""
        self._free.set(figures.free_bytes)
        if figures.inodes_free is not None:
            self._inodes.set(figures.inodes_free)
        self._level.set(_GRAVITY[level])
        self._reserved.set(reserved_bytes)

    def collected(self, freed_bytes: int, images: int, logs: int) -> None:
        """A collection ended."""
        self._freed.inc(freed_bytes)
        self._removed.labels("images").inc(images)
        self._removed.labels("logs").inc(logs)

    def refused(self, why: str) -> None:
        """An image was not pulled."""
        self._refused.labels(why).inc()
