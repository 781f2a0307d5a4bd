"""Jobs on the wire: what the API submits, what runners claim, renew and report, what readers see."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from protocol.base import Wire
from protocol.configuration import AppConfig, GivenConfig
from protocol.errors import JobReason
from protocol.names import (
    AppId,
    GitRef,
    HttpPath,
    ImageDigest,
    ImageRef,
    ImageTag,
    InstanceId,
    Labels,
    LongText,
    Namespace,
    Port,
    RegistryHost,
    RepositoryPath,
    RepoUrl,
    RunnerId,
    ShortText,
    UserId,
    own_base_path,
)
from protocol.nodes import NodeObstacle, RawNode

LOWEST_PRIORITY: Final = -10
HIGHEST_PRIORITY: Final = 10
Priority = Annotated[int, Field(ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)]
#: Chosen by the runner anew for each claim, and unguessable by other runners.
ClaimToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
LeaseSeconds = Annotated[int, Field(ge=1, le=3600)]
WaitSeconds = Annotated[float, Field(ge=0, le=25)]


class JobStatus(StrEnum):
    """Life of a job: PENDING, RUNNING, then one of the three terminal states."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows this state."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class JobType(StrEnum):
    """`BUILD_AND_DEPLOY` with `image` in the payload: deploy that image. Without: clone, build, push, deploy.

    `MIGRATE_APP`, ordered by the control plane alone: deploy what the app runs already, `image`, on another node. A
    runner carries it out as it does any job with an image.
    """

    BUILD_AND_DEPLOY = "BUILD_AND_DEPLOY"
    MIGRATE_APP = "MIGRATE_APP"


class JobPhase(StrEnum):
    """What a runner is doing; reported with its heartbeats."""

    CLONE = "CLONE"
    BUILD = "BUILD"
    PUSH = "PUSH"
    DEPLOY = "DEPLOY"


class StageOutcome(StrEnum):
    """How a stage of an attempt stands. `REUSED`: an earlier attempt had done it, and its result was taken.

    `UNFINISHED` is told to readers only: the attempt ended first, because its runner was killed or told to stop.
    """

    RUNNING = "RUNNING"
    DONE = "DONE"
    REUSED = "REUSED"
    FAILED = "FAILED"
    UNFINISHED = "UNFINISHED"


def _reported(value: StageOutcome) -> StageOutcome:
    if value is StageOutcome.UNFINISHED:
        raise ValueError("is what readers are told of a stage that nobody ended")
    return value


Milliseconds = Annotated[int, Field(ge=0, le=2**40)]
StageBytes = Annotated[int, Field(ge=0, le=2**53)]
StageRetries = Annotated[int, Field(ge=0, le=10_000)]


class StageReport(Wire):
    """One stage of the present attempt as its runner sees it, in milliseconds since the runner got the job: no clocks
    are compared.

    `bytes` is the size of what the stage made: of CLONE all files of the commit, of PUSH the image in the registry. A
    PUSH that is done tells the `imageDigest` and the `commit` that a later attempt may go on from; `retries` is how
    often it was tried again.
    """

    phase: JobPhase
    outcome: Annotated[StageOutcome, AfterValidator(_reported)]
    started_ms: Milliseconds
    ended_ms: Milliseconds | None = None
    bytes: StageBytes | None = None
    image: ImageRef | None = None
    image_digest: ImageDigest | None = None
    commit: ShortText | None = None
    retries: StageRetries | None = None


#: All stages of the present attempt so far, in their order; saying them again changes nothing.
StageReports = Annotated[tuple[StageReport, ...], Field(max_length=8)]


class StageView(Wire):
    """One stage of one attempt of a job, as readers see it; see `StageReport`."""

    attempt: int
    phase: str
    outcome: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    bytes: int | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    retries: int | None = None


class JobPayload(Wire):
    """What to deploy, as submitted; absent keys get their documented defaults at the runner."""

    user_id: UserId
    app_id: AppId
    app_name: ShortText | None = None
    repo_ssh_url: RepoUrl | None = None
    git_ref: GitRef | None = None
    #: Fetch the commit's submodules, too; without it their folders stay empty.
    git_submodules: bool | None = None
    base_path: HttpPath | None = None
    container_port: Port | None = None
    health_check_path: HttpPath | None = None
    image_tag: ImageTag | None = None
    dockerfile_path: RepositoryPath | None = None
    build_context: RepositoryPath | None = None
    image: ImageRef | None = None
    acr_registry: RegistryHost | None = None
    acr_namespace: Namespace | None = None
    config: GivenConfig | None = None

    @field_validator("base_path")
    @classmethod
    def _base_path_is_the_apps_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        return own_base_path(value, info.data.get("app_id"))


class StoredPayload(JobPayload):
    """The payload as answered: the submitted keys and those the control plane wrote.

    `sourceNodeId` and `targetNodeId` are there when the job's success moves the app from one node to the other,
    `drainId` when a plan ordered the move. An absent key stays absent: existing runners give it a default, which a null
    would override.
    """

    run_started_at: int | None = None
    attempt: int | None = None
    phase: str | None = None
    phase_message: str | None = None
    source_node_id: int | None = None
    target_node_id: int | None = None
    drain_id: int | None = None
    # Readers get the secrets' names alone.
    config: AppConfig | None = None

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {key: value for key, value in serialize(self).items() if value is not None}


class OnConflict(StrEnum):
    """What becomes of a new job while its app has an active one.

    `reject` refuses it. `supersede` cancels the PENDING one, and the new job waits behind the RUNNING one.
    """

    REJECT = "reject"
    SUPERSEDE = "supersede"


def _only_with_supersede(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("on_conflict") is OnConflict.REJECT:
        raise ValueError('needs "onConflict": "supersede"')
    return value


#: With `supersede`: cancel the RUNNING job as well, unless it is going live already.
CancelRunning = Annotated[bool, AfterValidator(_only_with_supersede)]


def _only_by_plans(value: JobType) -> JobType:
    if value is JobType.MIGRATE_APP:
        raise ValueError("MIGRATE_APP is ordered by a node's drain only (POST /admin/drains)")
    return value


class CreateJob(Wire):
    """`POST /deploy/jobs`. With the header `Idempotency-Key` it may be repeated: it makes one job.

    A job goes only to a runner that offers every label it `requires`. A higher `priority` goes first; waiting adds to
    it.
    """

    type: Annotated[JobType, AfterValidator(_only_by_plans)]
    payload: JobPayload
    on_conflict: OnConflict = OnConflict.REJECT
    cancel_running: CancelRunning = False
    priority: Priority = 0
    requires: Labels = ()


class RetryJob(Wire):
    """`POST /deploy/jobs/{id}/retry`: a new job with the order of one that FAILED or was CANCELLED; everything but
    that order is as in `CreateJob`.

    With `gitRef` the new job builds that in place of what the other one did, which may be in any state then, and was to
    build something: the secrets of its order are known to the control plane alone.
    """

    on_conflict: OnConflict = OnConflict.REJECT
    cancel_running: CancelRunning = False
    git_ref: GitRef | None = None


class TransitionJob(Wire):
    """`POST /deploy/jobs/{id}/transition`; RUNNING is reached by a claim only."""

    to_status: JobStatus
    error_message: LongText | None = None


class ClaimJob(Wire):
    """`POST /deploy/jobs/claim`. With `waitSeconds` the request is parked until a job is there or the time is up.

    `slots` is how many jobs the runner carries out at once, in all; it is never handed more. `instanceId` is the
    runner's process: what it claims, no other one may renew, report or hand back, also under the same `runnerId`. A
    claim whose answer was lost may be sent again with the same `claimToken`: it gets the job of the lost answer while
    that one's lease lasts.
    """

    runner_id: RunnerId
    lease_seconds: LeaseSeconds = 30
    wait_seconds: WaitSeconds = 0
    slots: Annotated[int, Field(ge=1, le=256)] | None = None
    version: ShortText | None = None
    host: ShortText | None = None
    labels: Labels = ()
    claim_token: ClaimToken | None = None
    instance_id: InstanceId | None = None


class RenewLease(Wire):
    """`POST /deploy/jobs/{id}/heartbeat`: the lease becomes now + `extendSeconds`.

    With `waitSeconds` the answer is held back until the job leaves RUNNING or the time is up, so that a cancel reaches
    the runner at once. `leaseToken` is absent from existing runners, which are known by `runnerId` alone.
    """

    runner_id: RunnerId
    lease_token: ShortText | None = None
    extend_seconds: LeaseSeconds = 30
    wait_seconds: WaitSeconds = 0
    phase: ShortText | None = None
    phase_message: LongText | None = None
    stages: StageReports = ()
    instance_id: InstanceId | None = None


class ReportJob(Wire):
    """`POST /deploy/jobs/{id}/report`: the one report that ends an attempt; repeating it is answered, not rewritten.

    `errorMessage` has no limit of its own: existing runners send all output of the failing command, and the control
    plane keeps its head and tail. `logLength` counts the bytes of the attempt's log, `logDropped` those that its runner
    left out of it because it was too long or its disk was full.
    """

    runner_id: RunnerId
    lease_token: ShortText | None = None
    status: JobStatus
    error_message: str | None = None
    reason: JobReason | None = None
    image: ImageRef | None = None
    image_digest: ImageDigest | None = None
    commit: ShortText | None = None
    log_length: Annotated[int, Field(ge=0)] | None = None
    log_dropped: Annotated[int, Field(ge=0)] = 0
    stages: StageReports = ()
    instance_id: InstanceId | None = None


class WaitingFor(Wire):
    """Why a pending job is not running: a stable slug (`WaitReason`) and the same in words.

    `jobId` is the job that holds the app; `since` when that began, `until` when the wait ends; `nodes` what speaks
    against each node (the first ten). The words name no age, so that they change only with the reason.
    """

    reason: str
    message: str
    job_id: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    nodes: tuple[NodeObstacle, ...] = ()


class LogRemoved(Wire):
    """Why a job's log is not kept any more: `age` or `size`, and the same in words."""

    reason: str
    message: str
    removed_at: AwareDatetime | None = None


class JobView(Wire):
    """A job as readers see it. The first eleven keys are those existing clients know.

    `logComplete`: the job ended and every byte of its log is here; `logGaps` counts the places where some are missing,
    each of which has a line of its own in the log. `logRemoved` says why there is no log any more. `supersededBy` is
    the newer job of the app that this one gave way to, `retryOf` the ended one whose order it repeats. Runners that
    were stopped handed the job back `returns` times, the last time `returnedBy`.
    """

    id: str
    type: JobType
    status: JobStatus
    payload: StoredPayload
    error_message: str | None = None
    runner_id: str | None = None
    lease_expire_at: AwareDatetime | None = None
    runtime_node: RawNode | None = None
    deploy_url: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    app_id: str
    user_id: str
    attempt: int = 0
    fence: int | None = None
    reason: str | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    log_length: int = 0
    log_complete: bool = False
    log_gaps: int = 0
    log_removed: LogRemoved | None = None
    superseded_by: str | None = None
    retry_of: str | None = None
    priority: int = 0
    requires: tuple[str, ...] = ()
    waiting_for: WaitingFor | None = None
    stages: tuple[StageView, ...] = ()
    returns: int = 0
    returned_by: str | None = None


class JobPage(Wire):
    """`GET /deploy/jobs?cursor=`: one page of a list of any length, newest created first, of one `appId`, `userId` or
    `status` if asked. An empty `cursor` begins; `nextCursor` is null on the last page. Without `cursor` the endpoint
    answers the newest `limit` jobs as a plain array, as existing clients know it."""

    items: tuple[JobView, ...]
    next_cursor: str | None = None


class ClaimedJob(JobView):
    """A job handed to a runner, with the proof of ownership. The lease is relative: no clocks are compared."""

    lease_token: str | None = None
    lease_seconds: int | None = None
