"""One full value of every wire model of jobs, apps, nodes and events."""

from datetime import UTC, datetime

from protocol import apps, events, jobs, nodes, releases, replicas
from protocol.base import Wire
from protocol.errors import JobReason

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
LATER = datetime(2026, 1, 2, 3, 4, 35, tzinfo=UTC)
JOB_ID = "00000000-0000-4000-8000-000000000001"
OLDER_ID = "00000000-0000-4000-8000-000000000000"
IMAGE = "127.0.0.1:5000/funaistudio/u1-app20001:0123456789ab-7"
DIGEST = "sha256:" + "a1" * 32
TOKEN = "lease-token"

PAYLOAD = jobs.JobPayload(
    user_id="1",
    app_id="20001",
    app_name="shop",
    repo_ssh_url="ssh://git@127.0.0.1:2222/funai/u1-app20001.git",
    git_ref="main",
    base_path="/runtime/20001",
    container_port=3000,
    health_check_path="/healthz",
    image_tag="latest",
    image=IMAGE,
    acr_registry="127.0.0.1:5000",
    acr_namespace="funaistudio",
)
STORED = jobs.StoredPayload(
    user_id="1", app_id="20001", git_ref="main", run_started_at=1767323045678, attempt=2, phase="BUILD"
)
NODE_ID = nodes.NodeId(value=1)
RAW = nodes.RawNode(
    id=NODE_ID,
    name="rt-node-01",
    agent_base_url="http://10.0.0.2:7005",
    gateway_base_url="http://10.0.0.2",
    enabled=True,
    weight=100,
    last_heartbeat_at=MOMENT,
    disk_free_pct=61.5,
    disk_free_bytes=615_000_000_000,
    container_count=12,
)
NODE = nodes.NodeView(
    node_id=1,
    name="rt-node-01",
    agent_base_url="http://10.0.0.2:7005",
    gateway_base_url="http://10.0.0.2",
    enabled=True,
    weight=100,
    last_heartbeat_at=MOMENT,
    health=nodes.NodeHealth.DRAINING,
    disk_free_pct=20.5,
    disk_free_bytes=205_000_000_000,
    container_count=12,
    disk_total_bytes=1_000_000_000_000,
    inodes_free_pct=80.0,
    interval_seconds=10.0,
    version="0.1.0",
    placements=3,
    reasons=("20.5 % disk free, below 25 %", "no new apps"),
)
RUNNER = nodes.RunnerView(
    runner_id="runner-01",
    last_seen_at_ms=1767323045678,
    health=nodes.RunnerHealth.HEALTHY,
    slots=2,
    version="0.1.0",
    host="builder",
    labels=("arm64", "gpu"),
)
PLACEMENT = nodes.PlacementView(app_id="20001", node_id=1, last_active_at=1767323045678)
RUN = apps.AppRunView(
    app_id="20001",
    node_id=1,
    last_job_id=JOB_ID,
    last_job_status="FAILED",
    last_error="the build failed",
    last_deployed_at=1767323045678,
    last_active_at=1767323045679,
)
WAITING = jobs.WaitingFor(reason="no_node", message="no runtime node can take a new app: n3: 12.0 % disk free")
PENDING = jobs.JobView(
    id=JOB_ID,
    type=jobs.JobType.BUILD_AND_DEPLOY,
    status=jobs.JobStatus.PENDING,
    payload=jobs.StoredPayload(user_id="1", app_id="20001"),
    created_at=MOMENT,
    updated_at=MOMENT,
    app_id="20001",
    user_id="1",
    waiting_for=WAITING,
)
CLAIMED = jobs.ClaimedJob(
    id=JOB_ID,
    type=jobs.JobType.BUILD_AND_DEPLOY,
    status=jobs.JobStatus.RUNNING,
    payload=STORED,
    runner_id="runner-01",
    lease_expire_at=LATER,
    runtime_node=RAW,
    deploy_url="http://10.0.0.2/runtime/20001/",
    created_at=MOMENT,
    updated_at=LATER,
    app_id="20001",
    user_id="1",
    attempt=2,
    fence=7,
    started_at=MOMENT,
    log_length=4096,
    retry_of=OLDER_ID,
    lease_token=TOKEN,
    lease_seconds=30,
)
GAVE_WAY = jobs.JobView(
    id=OLDER_ID,
    type=jobs.JobType.BUILD_AND_DEPLOY,
    status=jobs.JobStatus.CANCELLED,
    payload=jobs.StoredPayload(user_id="1", app_id="20001"),
    created_at=MOMENT,
    updated_at=LATER,
    app_id="20001",
    user_id="1",
    reason="superseded",
    finished_at=LATER,
    superseded_by=JOB_ID,
)
IMAGES = apps.RemovedImages(removed=(IMAGE,), kept=("busybox:1.36",), error="one is in use")
MONGO = apps.MongoOutcome(enabled=True, dropped=False, reason="kept by configuration")
RELEASE = releases.ReleaseView(
    app_id="20001",
    user_id="1",
    number=7,
    current=True,
    pinned=True,
    image=f"127.0.0.1:5000/funaistudio/u1-app20001@{DIGEST}",
    image_digest=DIGEST,
    commit="0123456789abcdef0123456789abcdef01234567",
    config_hash="b2" * 32,
    container_port=3000,
    base_path="/runtime/20001",
    health_check_path="/healthz",
    job_id=JOB_ID,
    node_id=1,
    created_at=MOMENT,
    image_removed_at=LATER,
)
CLEANUP = releases.CleanupView(attempts=2, next_attempt_at=LATER, last_error="the registry does not answer")

SAMPLES: tuple[Wire, ...] = (
    PAYLOAD,
    STORED,
    jobs.CreateJob(
        type=jobs.JobType.BUILD_AND_DEPLOY,
        payload=PAYLOAD,
        on_conflict=jobs.OnConflict.SUPERSEDE,
        cancel_running=True,
        priority=5,
        requires=("arm64", "gpu"),
    ),
    jobs.RetryJob(on_conflict=jobs.OnConflict.SUPERSEDE),
    jobs.TransitionJob(to_status=jobs.JobStatus.FAILED, error_message="by hand"),
    jobs.ClaimJob(
        runner_id="runner-01",
        lease_seconds=30,
        wait_seconds=20.5,
        slots=2,
        version="0.1.0",
        host="builder",
        labels=("arm64", "gpu"),
        claim_token="claim-token-of-one-claim",
    ),
    jobs.RenewLease(
        runner_id="runner-01",
        lease_token=TOKEN,
        extend_seconds=30,
        wait_seconds=10.0,
        phase="BUILD",
        phase_message="step 3 of 9",
    ),
    jobs.ReportJob(
        runner_id="runner-01",
        lease_token=TOKEN,
        status=jobs.JobStatus.FAILED,
        error_message="the build failed",
        reason=JobReason.BUILD_FAILED,
        image=IMAGE,
        image_digest=DIGEST,
        commit="0123456789abcdef0123456789abcdef01234567",
        log_length=4096,
    ),
    WAITING,
    PENDING,
    CLAIMED,
    jobs.LogPosition(length=4096, complete=True),
    apps.DeployApp(
        user_id="1",
        app_id="20001",
        image=IMAGE,
        container_port=3000,
        base_path="/runtime/20001",
        health_check_path="/healthz",
        fence=7,
        job_id=JOB_ID,
    ),
    apps.DeployedApp(app_id="20001", container_name="rt-u-1-20001-r7", preview_url="http://10.0.0.2/runtime/20001/"),
    apps.AppRef(user_id="1", app_id="20001", fence=8),
    apps.StoppedApp(app_id="20001"),
    IMAGES,
    MONGO,
    apps.DeletedApp(app_id="20001", images=IMAGES, mongo=MONGO),
    apps.AppStatus(
        app_id="20001",
        container_name="rt-u-1-20001-r7",
        exists=True,
        running=True,
        image=IMAGE,
        port=30007,
        fence=7,
    ),
    apps.LocalImages(app_id="20001", images=(IMAGE,)),
    apps.ConfirmFence(app_id="20001", fence=7, node_name="rt-node-01"),
    apps.FenceConfirmed(holds=False, reason="stale_fence"),
    apps.AppCommand(user_id="1", app_id="20001"),
    apps.AppStopped(
        app_id="20001", user_id=1, node_id=1, agent_base_url="http://10.0.0.2:7005", runtime={"status": "STOPPED"}
    ),
    apps.AppPurged(app_id="20001", user_id=1, deleted_jobs=4, deleted_app_runs=1, deleted_placements=1),
    apps.AppCleaned(
        user_id="1",
        app_id="20001",
        image_tags=(IMAGE,),
        cancelled_jobs=(JOB_ID,),
        registry={"enabled": False},
        runtime={"success": True, "agentBaseUrl": "http://10.0.0.2:7005", "response": {"status": "DELETED"}},
        purge={"deletedJobs": 4},
    ),
    RUN,
    nodes.NodeHeartbeat(
        node_name="rt-node-01",
        agent_base_url="http://10.0.0.2:7005",
        gateway_base_url="http://10.0.0.2",
        disk_free_pct=61.5,
        disk_free_bytes=615_000_000_000,
        disk_total_bytes=1_000_000_000_000,
        inodes_free_pct=80.0,
        container_count=12,
        interval_seconds=10.0,
        version="0.1.0",
    ),
    NODE_ID,
    RAW,
    NODE,
    nodes.UpsertNode(
        name="rt-node-01",
        agent_base_url="http://10.0.0.2:7005",
        gateway_base_url="http://10.0.0.2",
        enabled=True,
        weight=200,
    ),
    PLACEMENT,
    nodes.PlacementPage(node_id=1, total=3, items=(PLACEMENT,)),
    nodes.ReassignApp(app_id="20001", target_node_id=2),
    nodes.DrainNode(source_node_id=1, target_node_id=2, limit=100),
    nodes.DrainResult(moved=3, source_node_id=1, target_node_id=2),
    RUNNER,
    nodes.ServiceHealth(service="fun-ai-studio-deploy", timestamp=MOMENT),
    events.JobEvent(seq=41, at=MOMENT, change="created", actor="api", job=PENDING),
    events.NodeEvent(seq=42, at=MOMENT, change="disabled", actor="admin", node=NODE),
    events.RunnerEvent(at=MOMENT, runner=RUNNER),
    events.PlacementEvent(seq=43, at=MOMENT, actor="control-plane", app_id="20001", placement=PLACEMENT),
    events.AppEvent(seq=44, at=MOMENT, change="stopped", actor="api", app_id="20001", app=RUN),
    events.ResetEvent(seq=44),
    events.BeatEvent(at=MOMENT),
    events.Snapshot(
        seq=44,
        at=MOMENT,
        jobs=(PENDING, GAVE_WAY),
        nodes=(NODE,),
        runners=(RUNNER,),
        placements=(PLACEMENT,),
        apps=(RUN,),
    ),
    RELEASE,
    CLEANUP,
    releases.ReleasePage(app_id="20001", items=(RELEASE,), next_cursor="7", cleanup=CLEANUP),
    releases.RollbackApp(user_id="1", release=3, on_conflict=jobs.OnConflict.SUPERSEDE, cancel_running=True),
    releases.RollbackJob(**dict(PENDING), release=3, present_in=releases.PresentIn.REGISTRY),
    replicas.SingletonView(
        name="reaper", holder="deploy-1:4711:0a1b2c3d", epoch=3, since=MOMENT, lease_until=LATER, held=True
    ),
)
