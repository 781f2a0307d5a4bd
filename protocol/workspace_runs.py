"""Runs of an app in its user's workspace: what was asked for, and how it goes."""

from enum import StrEnum
from typing import Literal

from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.workspaces import AppRef


class RunType(StrEnum):
    """What is run: the development server, the preview, a build, or the installation of dependencies."""

    DEV = "DEV"
    START = "START"
    BUILD = "BUILD"
    INSTALL = "INSTALL"


class RunState(StrEnum):
    """How it goes."""

    IDLE = "IDLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DEAD = "DEAD"
    UNKNOWN = "UNKNOWN"
    BUILDING = "BUILDING"
    INSTALLING = "INSTALLING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class LogRef(AppRef):
    """The newest log of a kind of run; START and DEV are previews."""

    type: Literal["BUILD", "INSTALL", "PREVIEW", "START", "DEV"] = "PREVIEW"


class RunLog(Wire):
    """A log as one text; `isFinish` is told of builds."""

    log: str
    is_finish: bool | None = None


class RunView(Wire):
    """The one run that a workspace has at a time. `logPath` is the container's; times are milliseconds since 1970."""

    user_id: UserId
    state: RunState
    type: RunType | None = None
    app_id: AppId | None = None
    host_port: int | None = None
    container_port: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    port_listen_pid: int | None = None
    preview_url: str | None = None
    log_path: str | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    listening: tuple[int, ...] = ()
    framework: str | None = None
    message: str = ""
