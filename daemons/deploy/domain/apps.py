"""Apps as wholes: what can be said of one from its last end, its active jobs and what its nodes have yet to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, Placement, RuntimeNode, unwell
from daemons.deploy.domain.operations import Operation, words
from daemons.deploy.domain.releases import Release
from protocol.apps import AppCondition
from protocol.jobs import JobStatus
from protocol.nodes import UnwellApp
from protocol.operations import OperationKind


class AppNotFound(LookupError):
    """Nothing is known of the app."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"nothing is known of app {app_id}: it was never deployed, or it was deleted")


@dataclass(frozen=True, slots=True)
class AppFacts:
    """All that is known of an app."""

    app_id: str
    user_id: str | None
    placement: Placement | None
    node: RuntimeNode | None
    run: AppRun | None
    active: Sequence[Job]
    operations: Sequence[Operation]
    newest: Release | None = None

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return bool(self.placement or self.run or self.active or self.operations)


def condition(facts: AppFacts) -> tuple[AppCondition, str | None]:
    """The app's condition, and words where it is on the way to another one or in trouble. What is being done comes
    before what was."""
    running = next((job for job in facts.active if job.status is JobStatus.RUNNING), None)
    if running is not None:
        return AppCondition.DEPLOYING, f"job {running.id} is deploying it"
    if facts.operations:
        strongest = max(facts.operations, key=lambda each: (each.kind is OperationKind.DELETE, each.sequel.forgets))
        deletes = strongest.kind is OperationKind.DELETE or strongest.sequel.forgets
        return (AppCondition.DELETING if deletes else AppCondition.STOPPING), words(strongest)
    if facts.active:
        return AppCondition.QUEUED, f"job {facts.active[0].id} is pending"
    ill = unwell(facts.node, facts.app_id) if facts.node is not None else None
    if ill is not None and (facts.run is None or facts.run.last_job_status != "STOPPED"):
        return AppCondition(ill.health), _illness(ill)
    return _at_rest(facts.run)


def _illness(app: UnwellApp) -> str:
    """What its node says of the app; when it was said is the node's last heartbeat."""
    crashes = f"; it crashed {app.crashes} times" if app.crashes > 1 else ""
    again = f", and is started again at {app.restart_at:%H:%M:%S} UTC" if app.restart_at is not None else ""
    return f"{app.reason}{crashes}{again}"


def _at_rest(run: AppRun | None) -> tuple[AppCondition, str | None]:
    match run.last_job_status if run else None:
        case JobStatus.SUCCEEDED.value:
            return AppCondition.RUNNING, None
        case "STOPPED":
            return AppCondition.STOPPED, None
        case JobStatus.FAILED.value:
            return AppCondition.FAILED, run.last_error if run else None
        case None:
            return AppCondition.UNKNOWN, "none of its deployments has ended yet"
        case status:
            return AppCondition.UNKNOWN, (run.last_error if run else None) or f"its last state is {status}"
