"""Runtime nodes, placements and runners on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from protocol.base import Wire
from protocol.names import AppId, BaseUrl, InstanceId, Labels, NodeName, RunnerId, ShortText

Percent = Annotated[float, Field(ge=0, le=100)]
#: A node's id as callers may name it: above 2^53 - 1 a reader in JavaScript would see another number.
NodeNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class NodeHealth(StrEnum):
    """Display label of a node; `reasons` on the view says what led to it."""

    HEALTHY = "HEALTHY"
    DRAINING = "DRAINING"
    UNHEALTHY = "UNHEALTHY"
    STALE = "STALE"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"


class RunnerHealth(StrEnum):
    """Whether a runner was heard of within the registry's threshold."""

    HEALTHY = "HEALTHY"
    STALE = "STALE"


class DiskLevel(StrEnum):
    """What a node may still do with the room on its engine's disk, as its agent decides; each includes those before.

    - `no_new_apps`: it takes no app that is not there yet.
    - `no_pulls`: superfluous images are collected, and nothing is pulled that does not fit.
    - `stops_only`: only stops, and deployments of images that are there, of apps that are there.
    """

    OK = "ok"
    NO_NEW_APPS = "no_new_apps"
    NO_PULLS = "no_pulls"
    STOPS_ONLY = "stops_only"


class DiskCollection(Wire):
    """What a node removed to make room, last: bytes that became free, how many images went and how many logs of
    containers were cut. `number` counts the collections of the agent's process, `problem` says what went wrong."""

    number: Count
    at: AwareDatetime
    freed_bytes: Count
    images: Count
    logs: Count = 0
    problem: ShortText | None = None


class CollectNode(Wire):
    """The node that is to remove what nobody needs."""

    name: NodeName


class NodeCollected(Wire):
    """What a node removed because an operator asked: bytes that became free, how many images went and how many logs of
    containers were cut. `pending`: it goes on, and the node's next figures say what came of it."""

    pending: bool = False
    freed_bytes: Count = 0
    images: Count = 0
    logs: Count = 0
    problem: ShortText | None = None


class AppHealth(StrEnum):
    """Why an app that was deployed does not serve as it should.

    - `CRASHED`: its container does not run; it waits for its restart, or will have none.
    - `UNHEALTHY`: it runs, but does not answer on its health path.
    """

    CRASHED = "CRASHED"
    UNHEALTHY = "UNHEALTHY"


class UnwellApp(Wire):
    """An app that does not serve as it should: why, how often it crashed since it last was well for ten minutes, and
    when it is started again; without that it is not, or it runs."""

    app_id: AppId
    health: AppHealth
    reason: Annotated[str, StringConstraints(max_length=160)] = ""
    crashes: Count = 0
    restart_at: AwareDatetime | None = None


class NodeVitals(Wire):
    """A node as it sees itself; what is unknown is absent. `load1` is the machine's load over a minute, `reservedBytes`
    is kept free for images that are being pulled, and a problem says why a part does not answer. `unwell` are the apps
    that were so last, at most twelve of `unwellTotal`."""

    containers_total: Count | None = None
    load1: Annotated[float, Field(ge=0)] | None = None
    cpus: Count | None = None
    reserved_bytes: Count | None = None
    engine_version: ShortText | None = None
    gateway_version: ShortText | None = None
    engine_problem: ShortText | None = None
    gateway_problem: ShortText | None = None
    collection: DiskCollection | None = None
    unwell: Annotated[tuple[UnwellApp, ...], Field(max_length=12)] = ()
    unwell_total: Count | None = None


class NodeHeartbeat(Wire):
    """What an agent reports about its node. Figures are those of the container engine's own file system. `labels`
    replace those the node has; an agent that does not send them leaves them as an operator set them. `diskWords` says
    why `diskLevel` is what it is."""

    node_name: NodeName
    agent_base_url: BaseUrl
    gateway_base_url: BaseUrl
    disk_free_pct: Percent | None = None
    disk_free_bytes: Count | None = None
    disk_total_bytes: Count | None = None
    inodes_free_pct: Percent | None = None
    container_count: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    interval_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    version: ShortText | None = None
    inodes_total: Count | None = None
    inodes_free: Count | None = None
    labels: Labels | None = None
    disk_level: DiskLevel | None = None
    disk_words: ShortText | None = None
    vitals: NodeVitals | None = None


class NodeId(Wire):
    """The nested id of the raw node object, kept for existing clients."""

    value: int


class RawNode(Wire):
    """The node object inside a job: existing runners read `agentBaseUrl` and `gatewayBaseUrl` from it."""

    id: NodeId
    name: str
    agent_base_url: str | None
    gateway_base_url: str | None
    enabled: bool
    weight: int
    last_heartbeat_at: AwareDatetime | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None


class Explanation(Wire):
    """Why something is as it is: a stable slug (`protocol.errors` has the lists), and words for people."""

    reason: str
    message: str


class NodeView(Wire):
    """A node as operators see it. `explanations` say why it has its label; `reasons` are the words of all but
    HEALTHY's."""

    node_id: int
    name: str
    agent_base_url: str | None
    gateway_base_url: str | None
    enabled: bool
    weight: int
    last_heartbeat_at: AwareDatetime | None = None
    health: NodeHealth
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None
    disk_total_bytes: int | None = None
    inodes_free_pct: float | None = None
    interval_seconds: float | None = None
    version: str | None = None
    placements: int = 0
    reasons: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    inodes_total: int | None = None
    inodes_free: int | None = None
    labels: tuple[str, ...] = ()
    disk_level: DiskLevel | None = None
    vitals: NodeVitals | None = None


class NodeObstacle(Wire):
    """Why a node may not take an app: a stable slug (`node_disabled`, `node_stale` or `node_full`) and words."""

    node: str
    reason: str
    message: str


class UpsertNode(Wire):
    """An operator registers or edits a node; what is left out stays as it is."""

    name: NodeName
    agent_base_url: BaseUrl
    gateway_base_url: BaseUrl
    enabled: bool | None = None
    weight: Annotated[int, Field(ge=1, le=10_000)] | None = None
    labels: Labels | None = None


class SetNodeEnabled(Wire):
    """Query of `POST /admin/runtime-nodes/set-enabled`."""

    name: NodeName
    enabled: bool


class OfNode(Wire):
    """Which node."""

    node_id: NodeNumber


class NodeRemoved(Wire):
    """Answer to `DELETE /admin/runtime-nodes/{name}`: the node as it was, and what was given up with it. `apps` lived
    there and get another node with their next deployment; their containers may still run. `operations` are stops and
    deletes that it will not carry out any more. Unless `readmitted`, its agent is refused until an operator registers
    the node again."""

    node: NodeView
    apps: tuple[str, ...] = ()
    operations: tuple[int, ...] = ()
    readmitted: bool = False


class PlacementView(Wire):
    """Which node an app lives on; `lastActiveAt` is epoch milliseconds. `reasons` say why there, and why not elsewhere:
    at least one."""

    app_id: str
    node_id: int
    last_active_at: int
    reasons: tuple[Explanation, ...] = ()


class PlacementPage(Wire):
    """One page of a node's placements, ordered by app id as text."""

    node_id: int
    total: int
    items: tuple[PlacementView, ...]


class ReassignApp(Wire):
    """Move one app's placement; its container follows with the app's next deployment."""

    app_id: AppId
    target_node_id: NodeNumber


class DrainNode(Wire):
    """Move up to `limit` placements from one node to another; containers follow with the next deployment."""

    source_node_id: NodeNumber
    target_node_id: NodeNumber
    limit: Annotated[int, Field(ge=1, le=2000)] = 100


class DrainResult(Wire):
    """How many placements a drain moved."""

    moved: int
    source_node_id: int
    target_node_id: int


class RunnerDisk(Wire):
    """A file system that a runner's builds fill: `place` says what the runner keeps there."""

    place: ShortText
    free_bytes: Count
    total_bytes: Count


class RunnerWork(Wire):
    """A job that a runner carries out, and what it does of it now."""

    job_id: ShortText
    phase: ShortText | None = None


class PausedBecause(Wire):
    """Why a runner claims no jobs now: a stable slug (`protocol.errors.RunnerPause`), and words for people."""

    reason: ShortText
    message: ShortText


class RunnerVitals(Wire):
    """How a runner's process sees itself. It claims jobs unless `pause` says why not."""

    instance_id: InstanceId
    up_seconds: Count = 0
    pause: PausedBecause | None = None
    disks: Annotated[tuple[RunnerDisk, ...], Field(max_length=4)] = ()
    work: Annotated[tuple[RunnerWork, ...], Field(max_length=64)] = ()


class RunnerHeartbeat(Wire):
    """`POST /deploy/runners/heartbeat`: a runner tells how it is, also while it claims nothing and holds nothing."""

    runner_id: RunnerId
    slots: Annotated[int, Field(ge=1, le=256)] | None = None
    version: ShortText | None = None
    host: ShortText | None = None
    labels: Labels = ()
    vitals: RunnerVitals


class RunnerView(Wire):
    """A runner as operators see it; the jobs it holds are found by `runnerId` among the running jobs. `vitals` are
    those that it told lately. Since `drainedAt` it gets no more work, because `drainedBy` said so."""

    runner_id: str
    last_seen_at_ms: int
    health: RunnerHealth
    slots: int | None = None
    version: str | None = None
    host: str | None = None
    labels: tuple[str, ...] = ()
    vitals: RunnerVitals | None = None
    drained_at: AwareDatetime | None = None
    drained_by: str | None = None


class SetRunnerDrained(Wire):
    """Query of `POST /admin/runners/set-drained`."""

    runner_id: RunnerId
    drained: bool


class ServiceHealth(Wire):
    """Answer of `/internal/health`."""

    service: str
    timestamp: datetime


class ImagesInUse(Wire):
    """`POST /internal/runtime-nodes/images`: an agent asks which images of these apps it must not remove."""

    node_name: NodeName
    app_ids: Annotated[tuple[AppId, ...], Field(max_length=200)]


class AppImages(Wire):
    """Which images of an app stay, by any reference that may name them. `kept` are never to be removed: of the current
    and the previous release, pinned, held for a rollback, or being deployed. `recent` are those of the newest releases
    beside them, which stay while there is room. `known` is false for an app that the control plane knows nothing of: it
    was deleted."""

    app_id: str
    known: bool
    kept: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()


class ImagesKept(Wire):
    """Answer to `ImagesInUse`, one entry for each app that was asked for."""

    apps: tuple[AppImages, ...]
