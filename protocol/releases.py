"""Releases on the wire: what an app ran, and going back to it without a build."""

from enum import StrEnum

from pydantic import AwareDatetime

from protocol.base import Wire
from protocol.jobs import CancelRunning, JobView, OnConflict
from protocol.names import ReleaseNumber, UserId


class PresentIn(StrEnum):
    """Where an image was seen before a job was made that needs it."""

    REGISTRY = "registry"
    NODE = "node"


class ReleaseView(Wire):
    """One success of an app. `number` counts from 1 per app; `current` marks the newest, which is what runs.

    `image` is what was deployed; `configHash` tells releases apart whose image is the same but whose port or paths are
    not. `imageRemovedAt` is set once retention removed the image from the registry.
    """

    app_id: str
    user_id: str
    number: int
    current: bool
    pinned: bool
    image: str
    image_digest: str | None = None
    commit: str | None = None
    config_hash: str
    container_port: int
    base_path: str
    health_check_path: str
    job_id: str
    node_id: int | None = None
    created_at: AwareDatetime
    image_removed_at: AwareDatetime | None = None


class CleanupView(Wire):
    """Images that still have to be removed from the registry: when it is tried next, and why it failed last."""

    attempts: int
    next_attempt_at: AwareDatetime
    last_error: str | None = None


class ReleasePage(Wire):
    """`GET /deploy/apps/{appId}/releases`, newest first; `nextCursor` is null on the last page."""

    app_id: str
    items: tuple[ReleaseView, ...]
    next_cursor: str | None = None
    cleanup: CleanupView | None = None


class RollbackApp(Wire):
    """`POST /deploy/apps/{appId}/rollback`; without `release` to the newest that differs from the current one.

    What becomes of an active job of the app is decided as in `CreateJob`.
    """

    user_id: UserId
    release: ReleaseNumber | None = None
    on_conflict: OnConflict = OnConflict.REJECT
    cancel_running: CancelRunning = False


class RollbackJob(JobView):
    """The job that goes back to `release`; its image was seen in `presentIn` just before."""

    release: int
    present_in: PresentIn
