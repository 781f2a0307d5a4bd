"""The closed list of machine-readable reasons.

`ErrorReason` travels in the `reason` field of a refused request; `JobReason` says why a job ended as it did.
"""

from enum import StrEnum


class ErrorReason(StrEnum):
    """Why a request was refused."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limited"
    APP_BUSY = "app_busy"
    NOT_RUNNING = "not_running"
    APP_LIMIT = "app_limit"
    ALREADY_EXISTS = "already_exists"
    NOT_PROVEN = "not_proven"
    ILLEGAL_TRANSITION = "illegal_transition"
    CHANGED = "changed"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    LEASE_LOST = "lease_lost"
    STALE_FENCE = "stale_fence"
    TOO_LATE = "too_late"
    LOG_GAP = "log_gap"
    LOG_CLOSED = "log_closed"
    LOG_LATER = "log_later"
    LOG_REMOVED = "log_removed"
    NO_NODE = "no_node"
    NODE_DISABLED = "node_disabled"
    NODE_STALE = "node_stale"
    NODE_FULL = "node_full"
    DRAIN_LIVE = "drain_live"
    DRAIN_DOES_NOT_FIT = "drain_does_not_fit"
    NODE_IN_USE = "node_in_use"
    NODE_DELETED = "node_deleted"
    ADDRESS_REFUSED = "address_refused"
    INVENTORY_REFUSED = "inventory_refused"
    TOO_MANY_ORPHANS = "too_many_orphans"
    IMAGE_GONE = "image_gone"
    IMAGE_MUTABLE = "image_mutable"
    PEER_FAILED = "peer_failed"
    DEPLOY_FAILED = "deploy_failed"
    DISK_FULL = "disk_full"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class JobReason(StrEnum):
    """Why a job ended without success."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    LEASE_LOST = "lease_lost"
    TIMEOUT = "timeout"
    INVALID_PAYLOAD = "invalid_payload"
    CLONE_FAILED = "clone_failed"
    BUILD_FAILED = "build_failed"
    PUSH_FAILED = "push_failed"
    DEPLOY_FAILED = "deploy_failed"
    DISK_FULL = "disk_full"
    RUNNER_STOPPED = "runner_stopped"
    REPORTED = "reported"


class PlacementReason(StrEnum):
    """Why an app is on its node; `reason` of the `reasons` of `PlacementView`. More may come.

    - `most_room`: of the nodes that could take it, that one had the most room for its weight.
    - `by_hash`: the app's hash picked it among them: that is the strategy, or no node told how much room it has.
    - `only_node`: no other node could take it.
    - `node_disabled`, `node_stale`, `node_full`: another node could not take it then.
    - `reassigned`: an operator moved it.
    - `moved`: a drain or a deployment while its node was drained brought it there.
    - `unrecorded`: it was placed by a release that kept no reasons.
    """

    MOST_ROOM = "most_room"
    BY_HASH = "by_hash"
    ONLY_NODE = "only_node"
    NODE_DISABLED = "node_disabled"
    NODE_STALE = "node_stale"
    NODE_FULL = "node_full"
    REASSIGNED = "reassigned"
    MOVED = "moved"
    UNRECORDED = "unrecorded"


class NodeReason(StrEnum):
    """Why a node has its health label; `reason` of the `explanations` of `NodeView`. More may come.

    - `in_service`: it is heard of and has room (HEALTHY).
    - `low_disk`, `low_inodes`: less is free than the line below which it gets no new apps (DRAINING), or no deployment
      at all (UNHEALTHY).
    - `no_new_apps`: what DRAINING means.
    - `no_pulls`, `stops_only`: its agent says so of its disk (see `DiskLevel`); the first is DRAINING, the second
      UNHEALTHY.
    - `silent`, `never_heard`: no heartbeat for too long, or none ever (STALE).
    - `disabled`: by an operator (DISABLED).
    - `unwatched`: the registry is switched off (UNKNOWN).
    """

    IN_SERVICE = "in_service"
    LOW_DISK = "low_disk"
    LOW_INODES = "low_inodes"
    NO_NEW_APPS = "no_new_apps"
    NO_PULLS = "no_pulls"
    STOPS_ONLY = "stops_only"
    SILENT = "silent"
    NEVER_HEARD = "never_heard"
    DISABLED = "disabled"
    UNWATCHED = "unwatched"


class RunnerPause(StrEnum):
    """Why a runner claims no jobs now; `reason` of the `pause` of `RunnerVitals`. More may come.

    - `disk`: a disk that its builds fill is fuller than the line above which it takes no more work.
    - `stopping`: it was told to stop, and finishes what it holds.
    - `drained`: an operator said so to the control plane, which gives it nothing.
    """

    DISK = "disk"
    STOPPING = "stopping"
    DRAINED = "drained"


class WaitReason(StrEnum):
    """Why a pending job is not running; `reason` of `WaitingFor`. More may come: readers show one they do not know by
    its message.

    - `app_busy`: another job of the app runs (`jobId`).
    - `backoff`: an attempt lost its runner, and the next one may not start before `until`.
    - `node_disabled`, `node_stale`, `node_full`: the app lives on a node that may not take it now.
    - `no_node`: no node may take an app that lives nowhere yet (`nodes` says why; none when none is registered).
    - `no_runner`: no runner calls.
    - `no_runner_with_labels`: no runner that calls offers every label that the job requires.
    - `runners_busy`: every runner that could take it has all of its slots in use.
    - `runners_paused`: every runner that could take it says that it takes no work now, and why.
    - `warm_runner`: until `until` it is kept for the runner that built the app last and still has the layers of that
      build.
    - `queued`: nothing is in the way; it is its turn when a runner asks.
    """

    APP_BUSY = "app_busy"
    BACKOFF = "backoff"
    NODE_DISABLED = "node_disabled"
    NODE_STALE = "node_stale"
    NODE_FULL = "node_full"
    NO_NODE = "no_node"
    NO_RUNNER = "no_runner"
    NO_RUNNER_WITH_LABELS = "no_runner_with_labels"
    RUNNERS_BUSY = "runners_busy"
    RUNNERS_PAUSED = "runners_paused"
    WARM_RUNNER = "warm_runner"
    QUEUED = "queued"
