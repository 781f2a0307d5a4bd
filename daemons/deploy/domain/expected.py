"""Changes that were decided by what somebody saw: refused when it is no longer so.

The rules that make a version stand in `protocol.versions`; here they are applied to what the control plane knows.
"""

from daemons.deploy.domain.drains import Drain
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import Placement, Runner, RuntimeNode
from daemons.deploy.domain.releases import Release
from protocol import versions


class ChangedMeanwhile(Exception):
    """The object is not what it was when the change was decided."""

    def __init__(self, what: str, expected: str, now: str) -> None:
        super().__init__(
            f"{what} changed meanwhile and was left as it is: it is {now} and was {expected} when this was decided; "
            "look at it again"
        )
        self.data = {"expected": expected, "current": now}


def require_job(job: Job, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the job is still like that."""
    _require(f"job {job.id}", versions.of_job(job.status.value, job.attempt), expected)


def require_node(node: RuntimeNode, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the node is still like that."""
    _require(f"node {node.name}", versions.of_node(node.id, enabled=node.enabled, weight=node.weight), expected)


def require_runner(runner: Runner, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the runner is still like that."""
    _require(f"runner {runner.id}", versions.of_runner(drained=runner.drained_at is not None), expected)


def require_app(app_id: str, placement: Placement | None, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the app still lives there."""
    _require(f"app {app_id}", versions.of_app(placement.node_id if placement else None), expected)


def require_drain(drain: Drain, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the plan is still like that."""
    _require(f"drain {drain.id}", versions.of_drain(drain.state.value), expected)


def require_newest(app_id: str, newest: Release | None, expected: str | None) -> None:
    """Raises ChangedMeanwhile unless nothing is expected or the app has no newer release."""
    _require(f"app {app_id}", versions.of_releases(newest.number if newest else None), expected)


def _require(what: str, now: str, expected: str | None) -> None:
    if expected is not None and expected != now:
        raise ChangedMeanwhile(what, expected, now)
