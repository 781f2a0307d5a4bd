"""Pushes that are deployed: whose, of which branches, as what, and when it is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.api.domain.pauses import pause_ms
from protocol.jobs import JobType, JobView

DEFAULT_BRANCHES: Final = ("main",)
_MOST_WORDS: Final = 2_000


class PushNotDeployable(Exception):
    """The push cannot be deployed, however often it is tried; the words say what its owner can do."""


@dataclass(frozen=True, slots=True)
class PushRule:
    """Which pushes of an app are deployed."""

    enabled: bool = False
    branches: tuple[str, ...] = DEFAULT_BRANCHES

    def covers(self, branch: str) -> bool:
        """Whether a push to it is deployed."""
        return self.enabled and branch in self.branches


@dataclass(frozen=True, slots=True)
class Push:
    """The newest push of an app that is or was to be deployed; times are epoch milliseconds. `next_at` is when its job
    is asked for, none once that is settled; `held_until` is there while somebody is at it."""

    app_id: int
    delivery: str
    branch: str
    commit: str
    received_at: int
    attempts: int = 0
    problem: str | None = None
    job_id: str | None = None
    next_at: int | None = None
    held_until: int | None = None


def deployed(push: Push, job_id: str | None) -> Push:
    """Its job is there; which one is not known when an answer was lost."""
    return replace(push, attempts=push.attempts + 1, job_id=job_id, problem=None, next_at=None)


def refused(push: Push, problem: str) -> Push:
    """There will be no job."""
    return replace(push, attempts=push.attempts + 1, problem=problem[:_MOST_WORDS], next_at=None)


def postponed(push: Push, problem: str, now: int) -> Push:
    """It is tried again."""
    attempts = push.attempts + 1
    return replace(push, attempts=attempts, problem=problem[:_MOST_WORDS], next_at=now + pause_ms(attempts))


def basis(jobs: Sequence[JobView], repository_url: str) -> str | None:
    """The newest job that built the app from this repository, `jobs` being newest first: what is pushed is built and
    run as that was."""
    for job in jobs:
        built = job.type is JobType.BUILD_AND_DEPLOY and job.payload.image is None
        if built and job.payload.repo_ssh_url == repository_url:
            return job.id
    return None


def job_of(jobs: Sequence[JobView], commit: str) -> str | None:
    """The newest job that builds the commit."""
    return next((job.id for job in jobs if job.payload.git_ref == commit), None)
