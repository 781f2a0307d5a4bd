"""The runner's figures, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from protocol.jobs import JobPhase


class PrometheusMeter:
    """Jobs by result, slots in use, time by step."""

    def __init__(self, registry: CollectorRegistry, slots: int) -> None:
        self._jobs = Counter("funai_runner_jobs_total", "Jobs by how they ended here", ["result"], registry=registry)
        self._busy = Gauge("funai_runner_busy_slots", "Slots that hold a job", registry=registry)
        self._seconds = Histogram(
            "funai_runner_step_seconds",
            "Time of a step",
            ["phase"],
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
            registry=registry,
        )
        Gauge("funai_runner_slots", "Slots of this runner", registry=registry).set(slots)

    def busy(self, slots: int) -> None:
        """So many slots hold a job now."""
        self._busy.set(slots)

    def finished(self, result: str) -> None:
        """A job ended."""
        self._jobs.labels(result).inc()

    def step(self, phase: JobPhase, seconds: float) -> None:
        """A step took so long."""
        self._seconds.labels(phase.value).observe(seconds)


class PrometheusLayerMeter:
    """Room where layers are kept, and what was removed to make it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._free = Gauge("funai_runner_layer_room_bytes", "Free bytes where layers are kept", registry=registry)
        self._dropped = Counter("funai_runner_layers_removed_total", "Layers removed to make room", registry=registry)

    def room(self, free_bytes: int) -> None:
        """So much is free where they are kept."""
        self._free.set(free_bytes)

    def dropped(self, layers: int) -> None:
        """So many were removed."""
        self._dropped.inc(layers)
