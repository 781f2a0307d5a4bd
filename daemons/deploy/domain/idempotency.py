"""Requests that may be repeated: which job a request with an `Idempotency-Key` made.

A key counts for one kind of caller, one user and one app, for a day. The same request under the same key is answered
with the job that it made; another request under that key is refused.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.jobs import JobNotFound
from protocol.jobs import CreateJob, RetryJob

KEPT_MS: Final = 24 * 3600 * 1000


class IdempotencyMismatch(Exception):
    """The key was used for another request."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"this Idempotency-Key was used for another request, which made job {job_id}; use a new key for a new one"
        )
        self.data = {"jobId": job_id}


class JobForgotten(JobNotFound):
    """The job that the key's first request made is no longer kept."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.args = (f"the job that this Idempotency-Key made, {job_id}, has ended and is no longer kept",)


@dataclass(frozen=True, slots=True)
class Key:
    """What a key belongs to, and its text."""

    app_id: str
    user_id: str
    caller: str
    text: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a key was used for: the digest of the request and the job it made, until `expire_at` (epoch ms)."""

    key: Key
    request: str
    job_id: str
    expire_at: int


def digest(order: CreateJob | RetryJob, subject: str = "") -> str:
    """What makes two requests the same: their kind, the job they are about, and all that they ask for.

    What equals its default is left out, so that a request without a field that a newer release adds stays the same.
    """
    asked = order.model_dump_json(by_alias=True, exclude_defaults=True)
    return hashlib.sha256(f"{type(order).__name__}\n{subject}\n{asked}".encode()).hexdigest()


def repeats(used: Remembered | None, request: str, now: int) -> str | None:
    """The job that this request made earlier, or None when the key is free. Raises IdempotencyMismatch."""
    if used is None or used.expire_at <= now:
        return None
    if used.request != request:
        raise IdempotencyMismatch(used.job_id)
    return used.job_id
