"""What a workspace node says of a user's container, and the names of what it is asked for."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from protocol.base import Wire
from protocol.names import AppId, UserId

#: Rises whenever a workspace changes its node; a node refuses what carries an older one.
MOST_EPOCH: Final = 2**53
Epoch = Annotated[int, Field(ge=0, le=MOST_EPOCH)]


class ContainerStatus(StrEnum):
    """The state of a user's container as the existing clients know it. Ours are FROZEN (asleep in memory, awake within
    milliseconds), MOVING (on its way to another node, usable again in a moment) and MOVED."""

    NOT_CREATED = "NOT_CREATED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FROZEN = "FROZEN"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    MOVING = "MOVING"
    MOVED = "MOVED"
    UNKNOWN = "UNKNOWN"


class UserRef(Wire):
    """Whose workspace."""

    user_id: UserId
    epoch: Epoch | None = None


class AppRef(UserRef):
    """Which app in whose workspace."""

    app_id: AppId


class PreviewRef(Wire):
    """Whose preview a gateway asks for: the user's, or else the app's."""

    user_id: UserId | None = None
    app_id: AppId | None = None


class CachesView(Wire):
    """Caches of packages of one user: bytes as they were when they were looked at last (milliseconds since 1970), bytes
    that there may be, and bytes that were let go since the node began."""

    npm_bytes: int
    npm_limit_bytes: int
    pip_bytes: int
    pip_limit_bytes: int
    pruned_bytes: int
    measured_at_ms: int


class WorkspaceView(Wire):
    """A container as it is. Directories are those of the node (`host...`) and of the container."""

    user_id: UserId
    container_name: str
    container_status: ContainerStatus
    image: str
    host_port: int
    container_port: int
    host_workspace_dir: str
    host_apps_dir: str
    container_workspace_dir: str
    container_apps_dir: str
    epoch: Epoch = 0
    message: str = ""
    caches: CachesView | None = None


class Heartbeat(Wire):
    """The answer to a user's sign of life."""

    user_id: UserId
    server_time_ms: int
    message: str = "ok"
