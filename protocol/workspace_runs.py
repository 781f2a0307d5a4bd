"""Runs of an app in its user's workspace: what was asked for, and how it goes."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

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
    """A log as one text; `isFinish` is told of builds, and of nothing else is it there."""

    model_config = ConfigDict(json_schema_extra={"required": ["log"]})

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


class TryApi(AppRef):
    """A curl command to be run in the app's workspace; `command` is another name of `curlCommand`."""

    curl_command: Annotated[str, StringConstraints(max_length=16_384)] | None = None
    command: Annotated[str, StringConstraints(max_length=16_384)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None


class TriedError(StrEnum):
    """Why a command did not succeed; a command that is refused is answered with HTTP 400."""

    TIMEOUT = "TIMEOUT"
    EXECUTION_ERROR = "EXECUTION_ERROR"


class ApiTried(Wire):
    """How a curl command ended. `stdout` has all that it wrote; sizes are bytes, times milliseconds."""

    user_id: UserId
    app_id: AppId
    success: bool
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    execution_time_ms: int
    error_type: TriedError | None = None
    message: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    stdout_original_size: int = 0
    stderr_original_size: int = 0
