"""What the API and operators ask a node for, beside what people do: who is busy, who is idle, what is to go."""

from typing import Annotated

from pydantic import Field

from protocol.base import Wire
from protocol.names import AppId, UserId

Count = Annotated[int, Field(ge=0, le=2**53)]


class BusyCount(Wire):
    """How many users' runs live on the node, and whether one user's does."""

    busy_count: Count
    user_busy: bool


class ActivityView(Wire):
    """When a workspace was used last, and after how long without use it is put to sleep (minutes; 0: never)."""

    server_time_ms: int
    user_id: UserId
    last_active_at_ms: int | None = None
    idle_ms: int | None = None
    idle_ms_monotonic: int | None = None
    idle_stop_run_minutes: Count
    idle_stop_container_minutes: Count


class AppCleared(Wire):
    """What was taken away of a deleted app. `complete` is false when something is left: folders that are
    `quarantined`, under a name of their own, and are tried again with the next order."""

    user_id: UserId
    app_id: AppId
    complete: bool
    removed_folders: Count = 0
    removed_run_logs: Count = 0
    removed_uploads: Count = 0
    removed_keys: Count = 0
    removed_databases: Count = 0
    quarantined: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    message: str = "ok"


class CleanOrphans(Wire):
    """The apps that there are, as of a moment (milliseconds since 1970; none: an hour ago). What is younger stays. A
    list that is empty, or leaves out most of what is there, counts only when it is `confirmed`."""

    existing_app_ids: tuple[AppId, ...]
    as_of_ms: Count | None = None
    confirmed: bool = False


class OrphanKept(Wire):
    """An app that nobody knows and somebody uses."""

    user_id: UserId
    app_id: str
    reason: str


class OrphansCleaned(Wire):
    """What was taken away of apps that are gone."""

    cleaned_app_dirs: Count
    cleaned_run_logs: Count
    cleaned_databases: Count = 0
    kept: tuple[OrphanKept, ...] = ()
    quarantined: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    message: str = "ok"
