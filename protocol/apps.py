"""Apps on a runtime node: what runners and the control plane ask of an agent, and what it answers.

Requests carry ids as JSON strings (existing agents refuse numbers). `fence` is the per-app number of the attempt on
whose behalf the call is made; an agent refuses a lower one than it has seen.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from protocol.base import Wire
from protocol.configuration import GivenConfig
from protocol.names import AppId, HttpPath, ImageRef, Port, ShortText, UserId, image_registry, own_base_path
from protocol.operations import OperationView

Fence = Annotated[int, Field(ge=1, le=2**62)]


class DeployApp(Wire):
    """`POST /agent/apps/deploy`."""

    user_id: UserId
    app_id: AppId
    image: ImageRef
    container_port: Port = 3000
    base_path: HttpPath | Annotated[str, Field(max_length=0)] = ""
    health_check_path: HttpPath | None = None
    fence: Fence | None = None
    job_id: ShortText | None = None
    config: GivenConfig | None = None

    @field_validator("base_path")
    @classmethod
    def _base_path_is_the_apps_own(cls, value: str, info: ValidationInfo) -> str:
        return own_base_path(value, info.data.get("app_id")) or ""


class DeployedApp(Wire):
    """Answer to a deployment that is live. Within the next `watchSeconds` it is taken back if it fails; the app's
    status says so then."""

    app_id: str
    container_name: str
    status: str = "DEPLOYED"
    preview_url: str | None = None
    watch_seconds: float | None = None


class AppRef(Wire):
    """`POST /agent/apps/stop` and `POST /agent/apps/delete`."""

    user_id: UserId
    app_id: AppId
    fence: Fence | None = None


class StoppedApp(Wire):
    """Answer to a stop that the engine confirmed."""

    app_id: str
    status: str = "STOPPED"


class RemovedImages(Wire):
    """What became of an app's local images."""

    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    error: str | None = None


class MongoOutcome(Wire):
    """What became of an app's database; `enabled` is false while no Mongo host is configured. `reason` says why it was
    kept; with `error` the node goes on trying."""

    enabled: bool = False
    dropped: bool = False
    db_name: str | None = None
    reason: str | None = None
    error: str | None = None


class DeletedApp(Wire):
    """Answer to a delete that the engine confirmed."""

    app_id: str
    status: str = "DELETED"
    images: RemovedImages = Field(default_factory=RemovedImages)
    mongo: MongoOutcome = Field(default_factory=MongoOutcome)


class RunCondition(StrEnum):
    """How an app stands on its node. WATCHED: live, and taken back if it fails now. CRASHED: it waits for its restart,
    or gets none. ABSENT: it has no container there."""

    RUNNING = "RUNNING"
    WATCHED = "WATCHED"
    DEPLOYING = "DEPLOYING"
    UNHEALTHY = "UNHEALTHY"
    CRASHED = "CRASHED"
    ABSENT = "ABSENT"


class AppStatus(Wire):
    """`GET /agent/apps/status`; `port` is the port on the node that the gateway sends to.

    `reason` says why it is not well, or why it last crashed; `crashes` counts those since its last 10 min of health;
    `restartAt` and `failedAt` are epoch milliseconds. `failedFence` is the last attempt that was live and failed while
    it was watched; `backTo` is the one that serves instead.
    """

    app_id: str
    container_name: str
    exists: bool
    running: bool
    image: str | None = None
    port: int | None = None
    fence: int | None = None
    condition: RunCondition | None = None
    reason: str | None = None
    crashes: int | None = None
    restart_at: int | None = None
    failed_fence: int | None = None
    failed_reason: str | None = None
    failed_at: int | None = None
    back_to: int | None = None


class AppStatusList(Wire):
    """`GET /agent/apps`: every app that the node knows, by app id."""

    items: tuple[AppStatus, ...]


class LocalImages(Wire):
    """`GET /agent/apps/images`: every reference of the app's own repositories that the node's engine has."""

    app_id: str
    images: tuple[str, ...] = ()


class WarmImage(Wire):
    """`POST /agent/images/warm`: what an app will be deployed from in a moment, by digest, so that the node can
    begin to fetch it."""

    user_id: UserId
    app_id: AppId
    image: ImageRef

    @field_validator("image")
    @classmethod
    def _image_is_one_for_ever(cls, value: str) -> str:
        if "@" not in value or image_registry(value) is None:
            raise ValueError("must name a registry and end with @sha256: and the image's digest")
        return value


class WarmState(StrEnum):
    """What came of it. `HERE`: the node has the image. `SKIPPED`: it is left to the deployment, which loses nothing but
    time by it."""

    HERE = "HERE"
    PULLING = "PULLING"
    SKIPPED = "SKIPPED"


class WarmedImage(Wire):
    """Answer to it, at once; and to `DELETE /agent/images/warm`, which gives up what an app's image was fetched of."""

    app_id: str
    state: WarmState
    reason: str | None = None


class NodeContainer(Wire):
    """A container that an agent made for an app."""

    name: str
    user_id: str
    app_id: str
    running: bool


class NodeContainers(Wire):
    """`GET /agent/apps/containers`: every container that the agent made and that is still there, whatever its state."""

    containers: tuple[NodeContainer, ...] = ()


class ConfirmFence(Wire):
    """`POST /internal/fences/confirm`: may the attempt with this fence go live now?"""

    app_id: AppId
    fence: Fence
    node_name: ShortText | None = None


class FenceConfirmed(Wire):
    """`holds` is true for the one attempt that may switch traffic; from then on its job can no longer be cancelled."""

    holds: bool
    reason: str | None = None


class AppCommand(Wire):
    """Body of `POST /deploy/apps/stop|purge|cleanup`."""

    user_id: UserId
    app_id: AppId


class ServedApp(Wire):
    """Query of `GET /internal/gateway/runtime`."""

    app_id: AppId


class AppStopped(Wire):
    """`runtime` is the agent's answer, verbatim. `pending` is true when the node has not done it yet: it will be asked
    again until it has; then `runtime` says what stood in the way. `operations` has one entry per node of the app."""

    app_id: str
    user_id: int
    node_id: int
    agent_base_url: str
    runtime: dict[str, object]
    pending: bool = False
    operations: tuple[OperationView, ...] = ()


class AppPurged(Wire):
    """How many rows a purge deleted: none yet while `pending` is true, because the app may still run on a node."""

    app_id: str
    user_id: int
    deleted_jobs: int
    deleted_app_runs: int
    deleted_placements: int
    pending: bool = False
    operations: tuple[OperationView, ...] = ()


class AppCleaned(Wire):
    """What became of each step of a clean-up; every step answers for itself. While `pending` is true a node has not
    done its part yet; once it has, the other steps follow without another call."""

    user_id: str
    app_id: str
    image_tags: tuple[str, ...] = ()
    cancelled_jobs: tuple[str, ...] = ()
    registry: dict[str, object]
    runtime: dict[str, object]
    purge: dict[str, object]
    pending: bool = False
    operations: tuple[OperationView, ...] = ()


class AppRunView(Wire):
    """The last known state of an app, as the console lists it; times are epoch milliseconds."""

    app_id: str
    node_id: int | None = None
    last_job_id: str | None = None
    last_job_status: str | None = None
    last_error: str | None = None
    last_deployed_at: int | None = None
    last_active_at: int | None = None


class AppCondition(StrEnum):
    """How an app stands. What is being done comes before what was: an app whose delete waits for its node is DELETING,
    whatever its last deployment came to. CRASHED and UNHEALTHY are what its node says of it (`AppHealth`)."""

    QUEUED = "QUEUED"
    DEPLOYING = "DEPLOYING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DELETING = "DELETING"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"


class AppView(Wire):
    """One app. `message` says what it is waiting for or why it is in trouble; `operations` are those that its nodes
    have yet to carry out, each with its own reason; `jobId` is its active job. `run` is its last known end. `release`
    and `commit` are of its newest success, which is what runs where anything of it does."""

    app_id: str
    user_id: str | None = None
    condition: AppCondition
    message: str | None = None
    node_id: int | None = None
    node_name: str | None = None
    job_id: str | None = None
    run: AppRunView | None = None
    operations: tuple[OperationView, ...] = ()
    release: int | None = None
    commit: str | None = None


class AppPage(Wire):
    """`GET /deploy/apps`, by app id as text; `nextCursor` is null on the last page."""

    items: tuple[AppView, ...]
    next_cursor: str | None = None
