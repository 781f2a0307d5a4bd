"""Domain values as wire models."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic.alias_generators import to_camel

from daemons.deploy.domain import logs
from daemons.deploy.domain.apps import AppFacts, condition
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import (
    AppRun,
    NodePolicy,
    Placement,
    Reason,
    Runner,
    RuntimeNode,
    health,
    runner_health,
    runner_vitals,
    vitals_of,
)
from daemons.deploy.domain.operations import Operation
from daemons.deploy.domain.singletons import Holding
from daemons.deploy.domain.stages import Stage, outcome_of
from protocol.apps import AppRunView, AppView
from protocol.configuration import without_secrets
from protocol.errors import PlacementReason
from protocol.jobs import ClaimedJob, JobStatus, JobView, LogRemoved, StageView, StoredPayload, WaitingFor
from protocol.names import public_path
from protocol.nodes import (
    DiskLevel,
    Explanation,
    NodeHealth,
    NodeId,
    NodeView,
    PlacementView,
    RawNode,
    RunnerView,
)
from protocol.operations import OperationView
from protocol.replicas import SingletonView

_TIMES: Final = frozenset({"lease_expire_at", "started_at", "confirmed_at", "finished_at"})
#: What an audit shows of a job as it was: no token, no version, nothing that only counts.
_CHANGING: Final = (
    "status",
    "runner_id",
    "attempt",
    "fence",
    "reason",
    "error_message",
    "phase",
    "image",
    "image_digest",
    "commit",
    "superseded_by",
    *sorted(_TIMES),
)
_UNRECORDED: Final = Reason(PlacementReason.UNRECORDED, "it was placed by a release that kept no reasons")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def when(milliseconds: int) -> datetime:
    """Epoch milliseconds as UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _when(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else when(milliseconds)


def deploy_url(job: Job, node: RuntimeNode | None) -> str | None:
    """Where the app answers, with a trailing slash; None while its node or the node's gateway is unknown."""
    gateway = (node.gateway_base_url or "").strip().removesuffix("/") if node else ""
    if not gateway:
        return None
    asked = job.payload.get("basePath")
    path = (asked.strip() if isinstance(asked, str) else "") or public_path(job.app_id)
    return f"{gateway}/{path.strip('/')}/"


def job_view(job: Job, node: RuntimeNode | None = None, waiting: WaitingFor | None = None) -> JobView:
    """A job as readers see it."""
    return JobView(
        id=job.id,
        type=job.type,
        status=job.status,
        payload=_payload(job),
        error_message=job.error_message,
        runner_id=job.runner_id,
        lease_expire_at=_when(job.lease_expire_at),
        runtime_node=raw_node(node) if node else None,
        deploy_url=deploy_url(job, node),
        created_at=when(job.created_at),
        updated_at=when(job.updated_at),
        app_id=job.app_id,
        user_id=job.user_id,
        attempt=job.attempt,
        fence=job.fence,
        reason=job.reason,
        started_at=_when(job.started_at),
        finished_at=_when(job.finished_at),
        image=job.image,
        image_digest=job.image_digest,
        commit=job.commit,
        log_length=job.log_length,
        log_complete=logs.complete(job),
        log_gaps=job.log_gaps,
        log_removed=_removed(job),
        superseded_by=job.superseded_by,
        retry_of=job.retry_of,
        priority=job.priority,
        requires=job.requires,
        waiting_for=waiting,
        stages=tuple(_stage(job, stage) for stage in job.stages),
        returns=job.holders.returns,
        returned_by=job.holders.returned_by,
    )


def _stage(job: Job, stage: Stage) -> StageView:
    return StageView(
        attempt=stage.attempt,
        phase=stage.phase,
        outcome=outcome_of(stage, job.attempt, running=job.status is JobStatus.RUNNING).value,
        started_at=when(stage.started_at),
        ended_at=_when(stage.ended_at),
        bytes=stage.bytes,
        image=stage.image,
        image_digest=stage.image_digest,
        commit=stage.commit,
        retries=stage.retries,
    )


def _removed(job: Job) -> LogRemoved | None:
    if job.log_removed is None:
        return None
    return LogRemoved(
        reason=job.log_removed, message=logs.removal(job.log_removed), removed_at=_when(job.log_removed_at)
    )


def job_changes(job: Job, was: Job) -> dict[str, object]:
    """What a job was, under the keys of its view, where the change altered it."""
    found: dict[str, object] = {}
    for name in _CHANGING:
        before = getattr(was, name)
        if before != getattr(job, name):
            found[to_camel(name)] = _when(before) if name in _TIMES else before
    return found


def claimed_view(job: Job, node: RuntimeNode, lease_seconds: int) -> ClaimedJob:
    """A job as its new runner sees it."""
    view = job_view(job, node)
    known = {name: getattr(view, name) for name in JobView.model_fields}
    known["payload"] = _payload(job, secrets=True)
    return ClaimedJob(**known, lease_token=job.lease_token, lease_seconds=lease_seconds)


def _payload(job: Job, *, secrets: bool = False) -> StoredPayload:
    """With the values of the app's secrets only for the runner that carries the job out."""
    written = {
        "runStartedAt": job.started_at,
        "attempt": job.attempt or None,
        "phase": job.phase,
        "phaseMessage": job.phase_message,
    }
    payload = StoredPayload.model_validate({**job.payload, **written})
    if secrets or payload.config is None:
        return payload
    return payload.model_copy(update={"config": without_secrets(payload.config)})


def raw_node(node: RuntimeNode) -> RawNode:
    """A node as existing runners and agents know it."""
    return RawNode(
        id=NodeId(value=node.id),
        name=node.name,
        agent_base_url=node.agent_base_url,
        gateway_base_url=node.gateway_base_url,
        enabled=node.enabled,
        weight=node.weight,
        last_heartbeat_at=_when(node.last_heartbeat_at),
        disk_free_pct=node.disk_free_pct,
        disk_free_bytes=node.disk_free_bytes,
        container_count=node.container_count,
    )


def node_view(node: RuntimeNode, policy: NodePolicy, now: int, placements: int) -> NodeView:
    """A node as operators see it."""
    label, why = health(node, policy, now)
    return NodeView(
        node_id=node.id,
        name=node.name,
        agent_base_url=node.agent_base_url,
        gateway_base_url=node.gateway_base_url,
        enabled=node.enabled,
        weight=node.weight,
        last_heartbeat_at=_when(node.last_heartbeat_at),
        health=label,
        disk_free_pct=node.disk_free_pct,
        disk_free_bytes=node.disk_free_bytes,
        container_count=node.container_count,
        disk_total_bytes=node.disk_total_bytes,
        inodes_free_pct=node.inodes_free_pct,
        interval_seconds=node.interval_seconds,
        version=node.version,
        placements=placements,
        reasons=tuple(each.words for each in why) if label is not NodeHealth.HEALTHY else (),
        explanations=tuple(map(_explanation, why)),
        inodes_total=node.inodes_total,
        inodes_free=node.inodes_free,
        labels=node.labels,
        disk_level=DiskLevel(node.disk_level) if node.disk_level is not None else None,
        vitals=vitals_of(node),
    )


def runner_view(runner: Runner, stale_ms: int, now: int) -> RunnerView:
    """A runner as operators see it."""
    return RunnerView(
        runner_id=runner.id,
        last_seen_at_ms=runner.last_seen_at,
        health=runner_health(runner, stale_ms, now),
        slots=runner.slots,
        version=runner.version,
        host=runner.host,
        labels=runner.labels or (),
        vitals=runner_vitals(runner, stale_ms, now),
        drained_at=_when(runner.drained_at),
        drained_by=runner.drained_by,
    )


def placement_view(placement: Placement) -> PlacementView:
    """A placement."""
    reasons = placement.reasons or (_UNRECORDED,)
    return PlacementView(
        app_id=placement.app_id,
        node_id=placement.node_id,
        last_active_at=placement.last_active_at,
        reasons=tuple(map(_explanation, reasons)),
    )


def _explanation(reason: Reason) -> Explanation:
    return Explanation(reason=str(reason.slug), message=reason.words)


def app_run_view(run: AppRun) -> AppRunView:
    """The last known state of an app."""
    return AppRunView(
        app_id=run.app_id,
        node_id=run.node_id,
        last_job_id=run.last_job_id,
        last_job_status=run.last_job_status,
        last_error=run.last_error,
        last_deployed_at=run.last_deployed_at,
        last_active_at=run.last_active_at,
    )


def singleton_view(holding: Holding, now: int) -> SingletonView:
    """Who does work that only one replica does."""
    return SingletonView(
        name=holding.name,
        holder=holding.holder,
        epoch=holding.epoch,
        since=when(holding.since),
        lease_until=when(holding.until),
        held=holding.until > now,
    )


def operation_view(operation: Operation, now: int) -> OperationView:
    """An operation as operators and the API see it."""
    return OperationView(
        id=operation.id,
        kind=operation.kind,
        app_id=operation.app_id,
        user_id=operation.user_id,
        node_id=operation.node_id,
        fence=operation.fence,
        cause=operation.cause,
        actor=operation.actor.name,
        state=operation.state,
        reason=operation.reason,
        message=operation.message,
        attempts=operation.attempts,
        running=operation.held(now),
        next_attempt_at=None if operation.state.final else when(operation.not_before),
        created_at=when(operation.created_at),
        updated_at=when(operation.updated_at),
        finished_at=_when(operation.finished_at),
    )


def app_view(facts: AppFacts, now: int) -> AppView:
    """An app as operators and the API see it."""
    found, message = condition(facts)
    return AppView(
        app_id=facts.app_id,
        user_id=facts.user_id,
        condition=found,
        message=message,
        node_id=facts.placement.node_id if facts.placement else None,
        node_name=facts.node.name if facts.node else None,
        job_id=facts.active[0].id if facts.active else None,
        run=app_run_view(facts.run) if facts.run else None,
        operations=tuple(operation_view(each, now) for each in facts.operations),
        release=facts.newest.number if facts.newest else None,
        commit=facts.newest.commit if facts.newest else None,
    )
