"""A job and its life.

`PENDING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED`, `PENDING -> CANCELLED`, and `RUNNING -> PENDING` only by
lease expiry.
Every change makes a new value; the store writes it only if the row still is the one the change started from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.jobs import JobStatus, JobType


@dataclass(frozen=True, slots=True)
class Job:
    """One deployment order. `version` counts writes and guards them; `fence` rises with every claim of the app's
    jobs."""

    id: str
    type: JobType
    status: JobStatus
    app_id: str
    user_id: str
    payload: Mapping[str, object]
    created_at: int
    updated_at: int
    attempt: int = 0
    fence: int | None = None
    runner_id: str | None = None
    lease_token: str | None = None
    lease_expire_at: int | None = None
    not_before: int = 0
    started_at: int | None = None
    confirmed_at: int | None = None
    finished_at: int | None = None
    phase: str | None = None
    phase_message: str | None = None
    error_message: str | None = None
    reason: str | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    log_length: int = 0
    version: int = 0
