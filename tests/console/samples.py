"""A small platform at one moment, the same in every run."""

from datetime import UTC, datetime, timedelta

from protocol.apps import AppRunView
from protocol.events import Snapshot
from protocol.jobs import JobStatus, JobType, JobView, StoredPayload, WaitingFor
from protocol.nodes import NodeHealth, NodeView, PlacementView, RunnerHealth, RunnerView

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
_GIB = 1_000_000_000


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def millis(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def payload(app: str = "20001", user: str = "1", ref: str = "main", **more: object) -> StoredPayload:
    fields: dict[str, object] = {
        "app_id": app,
        "user_id": user,
        "git_ref": ref,
        "repo_ssh_url": f"ssh://git@127.0.0.1:2222/funai/u{user}-app{app}.git",
    }
    return StoredPayload.model_validate(fields | more)


def job(
    job_id: str,
    *,
    app: str = "20001",
    status: JobStatus = JobStatus.PENDING,
    created: datetime = NOW,
    payload: StoredPayload | None = None,
    **more: object,
) -> JobView:
    stored = payload or globals()["payload"](app)
    fields: dict[str, object] = {
        "id": job_id,
        "type": JobType.BUILD_AND_DEPLOY,
        "status": status,
        "payload": stored,
        "created_at": created,
        "updated_at": created,
        "app_id": app,
        "user_id": stored.user_id,
    }
    return JobView.model_validate(fields | more)


def node(number: int, name: str, **more: object) -> NodeView:
    fields: dict[str, object] = {
        "node_id": number,
        "name": name,
        "agent_base_url": f"http://10.0.0.{number}:7005",
        "gateway_base_url": f"http://10.0.0.{number}:8088",
        "enabled": True,
        "weight": 100,
        "last_heartbeat_at": ago(4),
        "health": NodeHealth.HEALTHY,
        "disk_total_bytes": 200 * _GIB,
    }
    return NodeView.model_validate(fields | more)


def _jobs() -> tuple[JobView, ...]:
    url = "http://127.0.0.1:8088/runtime"
    return (
        job(
            "7c1e09aa-11d0",
            app="20001",
            status=JobStatus.RUNNING,
            created=ago(48),
            attempt=1,
            fence=7,
            runner_id="build-a",
            started_at=ago(47),
            lease_expire_at=NOW + timedelta(seconds=21),
            payload=payload("20001", attempt=1, phase="BUILD", phase_message="step 4 of 7: npm ci"),
        ),
        job(
            "91b0d4c2-77aa",
            app="20001",
            created=ago(12),
            waiting_for=WaitingFor(reason="app_busy", message="job 7c1e09aa of the app has been running for 48 s"),
        ),
        job(
            "d002f3b1-90e1",
            app="shop-frontend",
            created=ago(30),
            payload=payload("shop-frontend", "42", "release/2026.05"),
            waiting_for=WaitingFor(reason="no_node", message="no node takes it: rt-node-02 is 12 % free, below 15 %"),
        ),
        job(
            "5d52ab10-0001",
            app="20007",
            status=JobStatus.SUCCEEDED,
            created=ago(840),
            attempt=1,
            runner_id="build-b",
            started_at=ago(839),
            finished_at=ago(801),
            deploy_url=f"{url}/20007/",
            payload=payload("20007", "3"),
        ),
        job(
            "e8f7a630-2222",
            app="20003",
            status=JobStatus.FAILED,
            created=ago(3_900),
            attempt=2,
            runner_id="build-a",
            started_at=ago(3_890),
            finished_at=ago(3_800),
            reason="build_failed",
            error_message="npm ci ended with exit code 1: missing package-lock.json",
            payload=payload("20003", "2"),
        ),
        job(
            "b31c5e77-3333",
            app="20005",
            status=JobStatus.CANCELLED,
            created=ago(90_000),
            attempt=1,
            runner_id="build-b",
            started_at=ago(89_990),
            finished_at=ago(89_900),
            reason="cancelled",
            payload=payload("20005", "2"),
        ),
    )


def snapshot(seq: int = 100) -> Snapshot:
    return Snapshot(
        seq=seq,
        at=NOW,
        jobs=_jobs(),
        nodes=(
            node(1, "rt-node-01", disk_free_pct=62.0, disk_free_bytes=124 * _GIB, container_count=9, placements=7),
            node(
                2,
                "rt-node-02",
                disk_free_pct=12.4,
                disk_free_bytes=24_800_000_000,
                container_count=31,
                placements=28,
                health=NodeHealth.UNHEALTHY,
                reasons=("12.4 % free, below 15 %",),
            ),
            node(
                3,
                "rt-node-03",
                disk_free_pct=21.0,
                disk_free_bytes=42 * _GIB,
                container_count=14,
                placements=12,
                health=NodeHealth.DRAINING,
                reasons=("21 % free, below 25 %: no new apps",),
            ),
            node(4, "rt-node-04", last_heartbeat_at=ago(190), health=NodeHealth.STALE, reasons=("silent for 190 s",)),
        ),
        runners=(
            RunnerView(
                runner_id="build-a",
                last_seen_at_ms=millis(ago(1)),
                health=RunnerHealth.HEALTHY,
                slots=2,
                host="ci-01",
                version="0.1.0",
            ),
            RunnerView(
                runner_id="build-b",
                last_seen_at_ms=millis(ago(2)),
                health=RunnerHealth.HEALTHY,
                slots=2,
                host="ci-02",
                version="0.1.0",
            ),
            RunnerView(runner_id="old-runner", last_seen_at_ms=millis(ago(400)), health=RunnerHealth.STALE),
        ),
        placements=(
            PlacementView(app_id="20001", node_id=1, last_active_at=millis(ago(3_600))),
            PlacementView(app_id="20003", node_id=2, last_active_at=millis(ago(86_400))),
            PlacementView(app_id="20007", node_id=1, last_active_at=millis(ago(801))),
        ),
        apps=(
            AppRunView(app_id="20003", node_id=2, last_job_id="e8f7a630-2222", last_job_status="FAILED"),
            AppRunView(app_id="20007", node_id=1, last_job_id="5d52ab10-0001", last_job_status="SUCCEEDED"),
        ),
    )
