"""The control plane's own gauges, read from the store when they are asked for."""

import collections
import logging

from prometheus_client import CollectorRegistry, Counter, Gauge

from daemons.deploy.domain.nodes import health, runner_health
from daemons.deploy.ports import StoreUnavailable
from daemons.deploy.services.feed import Feed
from daemons.deploy.services.reading import Reader, Thresholds
from daemons.deploy.services.registry import NodeRegistry, RunnerRegistry
from protocol.jobs import JobStatus
from protocol.nodes import NodeHealth, RunnerHealth

logger = logging.getLogger(__name__)


class Figures:
    """Active jobs by state, nodes and runners by health, and who watches."""

    def __init__(
        self,
        registry: CollectorRegistry,
        reader: Reader,
        nodes: NodeRegistry,
        runners: RunnerRegistry,
        thresholds: Thresholds,
        feed: Feed,
    ) -> None:
        self._reader = reader
        self._nodes = nodes
        self._runners = runners
        self._thresholds = thresholds
        self._feed = feed
        self._dropped = 0
        self._jobs_gauge = Gauge("funai_deploy_jobs", "Active jobs by state", ["status"], registry=registry)
        self._nodes_gauge = Gauge("funai_deploy_nodes", "Runtime nodes by health", ["health"], registry=registry)
        self._runners_gauge = Gauge("funai_deploy_runners", "Runners by health", ["health"], registry=registry)
        self._watchers_gauge = Gauge("funai_deploy_event_watchers", "Open event streams", registry=registry)
        self._dropped_counter = Counter(
            "funai_deploy_event_watchers_dropped_total",
            "Event streams that were ended because their reader was too slow",
            registry=registry,
        )

    async def refresh(self) -> None:
        """Read the figures; while the store does not answer the last ones stay."""
        self._watchers_gauge.set(self._feed.watchers)
        self._dropped_counter.inc(self._feed.dropped - self._dropped)
        self._dropped = self._feed.dropped
        try:
            jobs = await self._reader.active_jobs()
            found = await self._nodes.nodes()
            now, runners = await self._runners.runners()
        except StoreUnavailable as error:
            logger.warning("figures are not up to date", extra={"error": str(error)})
            return
        for status in (JobStatus.PENDING, JobStatus.RUNNING):
            self._jobs_gauge.labels(status.value).set(jobs.get(status.value, 0))
        labels = collections.Counter(health(node, self._thresholds.policy, found.now)[0] for node in found.nodes)
        for label in NodeHealth:
            self._nodes_gauge.labels(label.value).set(labels[label])
        seen = collections.Counter(runner_health(runner, self._thresholds.runner_stale_ms, now) for runner in runners)
        for state in RunnerHealth:
            self._runners_gauge.labels(state.value).set(seen[state])
