"""Apps and what their jobs say about them. The owner never sets an app's status: it follows from the jobs."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from protocol.api import AppState, RepoStatus
from protocol.jobs import JobStatus

_ID: Final = re.compile("[1-9][0-9]{0,17}")
FIRST_APP_ID: Final = 20001
#: A place taken for a deployment younger than this is never given away: its job may be on its way to the queue. The
#: call that queues it ends within 8 s.
FRESH_PLACE_MS: Final = 15_000


def number_of(app_id: str) -> int | None:
    """The number of an app's id, None for what is none. There is one text for each number: on nodes another would be
    another app."""
    return int(app_id) if _ID.fullmatch(app_id) else None


class AppLimit(Exception):
    """The user has as many apps, or as many live apps, as allowed."""


class NameTaken(Exception):
    """The user already has an app of this name."""

    data: Final = {"fields": ["appName"]}


@dataclass(frozen=True, slots=True)
class Draft:
    """An app as its owner asks for it; an empty `slug` gives up the one it has."""

    name: str | None = None
    description: str | None = None
    type: str | None = None
    slug: str | None = None


@dataclass(frozen=True, slots=True)
class App:
    """A stored app; times are epoch milliseconds.

    `live_since` is when it took one of its owner's places for live apps, `stopped_job` the newest job that had ended
    at the last stop.
    """

    id: int
    user_id: int
    name: str
    description: str | None
    type: str | None
    live_since: int | None
    stopped_job: str | None
    created_at: int
    updated_at: int
    repo_status: RepoStatus = RepoStatus.PENDING
    repo_reason: str | None = None
    slug: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a job says about its app."""

    job_id: str
    status: JobStatus
    error: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How a job of an app ended, as the control plane told; times are epoch milliseconds of its database."""

    job_id: str
    status: JobStatus
    created_at: int
    ended_at: int
    error: str | None = None
    url: str | None = None

    def outdated_by(self, known: "Result") -> bool:
        """Whether what is known already came later: results may arrive in any order. The app stands as its newest job
        says, not as the job says that ended last: a superseded job may end before the one that runs."""
        return (self.created_at, self.ended_at) < (known.created_at, known.ended_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """An app's state as derived; `url` answers as long as a version of the app is meant to run. `as_of` (epoch ms) is
    set when the control plane could not be asked. `stop_pending` while the app's node has yet to carry out its stop."""

    status: AppState
    last_job: str | None = None
    error: str | None = None
    url: str | None = None
    as_of: int | None = None
    stop_pending: bool = False


def at_rest_after_stop(app: App, state: Standing) -> bool:
    """Whether the app was stopped and nothing came after, so that an operation of its node is about that stop. Of an
    app that deploys or runs it is about a copy that was left elsewhere."""
    return app.stopped_job is not None and state.status is AppState.UPLOADED


def remembered(app: App, result: Result) -> Standing:
    """The state of an app from the newest result that was told, as of when its job ended. Whether a version serves
    after a job that did not succeed is not known."""
    attempt = Attempt(result.job_id, result.status, result.error, result.url)
    return replace(standing(app, [attempt]), as_of=result.ended_at)


def standing(app: App, attempts: Sequence[Attempt]) -> Standing:
    """The state of an app from its jobs, newest first."""
    if not attempts:
        return Standing(AppState.CREATED)
    newest = attempts[0]
    live = next((attempt for attempt in _since_stop(app, attempts) if attempt.status is JobStatus.SUCCEEDED), None)
    return Standing(
        status=_status(newest, stopped=newest.job_id == app.stopped_job),
        last_job=newest.job_id,
        error=newest.error if newest.status is JobStatus.FAILED else None,
        url=live.url if live else None,
    )


def live(app: App, attempts: Sequence[Attempt]) -> bool:
    """Whether the app is deploying or a version of it runs: then it needs one of its owner's places."""
    if any(not attempt.status.terminal for attempt in attempts):
        return True
    return any(attempt.status is JobStatus.SUCCEEDED for attempt in _since_stop(app, attempts))


def untitled(names: Collection[str]) -> str:
    """The first free name `Untitled app N`."""
    number = len(names) + 1
    while f"Untitled app {number}" in names:
        number += 1
    return f"Untitled app {number}"


def _since_stop(app: App, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    for place, attempt in enumerate(attempts):
        if attempt.job_id == app.stopped_job:
            return attempts[:place]
    return attempts


def _status(newest: Attempt, *, stopped: bool) -> AppState:
    match newest.status:
        case JobStatus.PENDING | JobStatus.RUNNING:
            return AppState.DEPLOYING
        case JobStatus.SUCCEEDED:
            return AppState.UPLOADED if stopped else AppState.READY
        case JobStatus.FAILED:
            return AppState.UPLOADED if stopped else AppState.FAILED
        case JobStatus.CANCELLED:
            return AppState.UPLOADED
        case _:
            assert_never(newest.status)
