"""Rows of what happened: events, logs, releases and the reviews of their images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.deploy.domain.events import Event, NewEvent, Search
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.late_logs import LogPart
from daemons.deploy.domain.releases import Release, Review


class EventRows(Protocol):
    """Table `fun_ai_deploy_event`, append-only."""

    async def append(self, event: NewEvent) -> None:
        """Append in this transaction; `at` is the database's clock."""
        ...

    async def append_all(self, events: Sequence[NewEvent]) -> None:
        """Append in this order."""
        ...

    async def events_after(self, seq: int, limit: int) -> Sequence[Event]:
        """Committed events with a higher number, in order; numbers of open transactions are missing."""
        ...

    async def event_numbers(self, low: int, high: int, *, uncommitted: bool) -> frozenset[int]:
        """Numbers above `low` and up to `high` in the log; with `uncommitted` also those that open transactions hold,
        and then this must be the transaction's first call."""
        ...

    async def events_before(self, seq: int, low: int, limit: int, wanted: Search) -> Sequence[Event]:
        """Events with a number below `seq` and at least `low`, newest first."""
        ...

    async def event_before(self, seq: int) -> Event | None:
        """The newest event with a lower number."""
        ...

    async def event_bounds(self) -> tuple[int, int]:
        """The lowest and highest number in the log; (0, 0) when it is empty."""
        ...

    async def delete_events(self, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before` (epoch ms); how many."""
        ...


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How many bytes a log has, and whether its job ended."""

    length: int
    ended: bool


@dataclass(frozen=True, slots=True)
class EndedLog:
    """The log of a job that ended (epoch ms), and how many bytes it takes."""

    job_id: str
    stored_bytes: int
    ended_at: int


class LogRows(Protocol):
    """Tables `fun_ai_deploy_log`, `..._log_segment` and `..._log_part`; and what a job's own row says of its log, which
    nobody but these methods writes."""

    async def append_log(self, job_id: str, offset: int, data: bytes) -> None:
        """Store the bytes that begin at `offset`; the caller holds the job's row and checked the offset."""
        ...

    async def read_log(self, job_id: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`, possibly fewer; empty at the end."""
        ...

    async def save_log(self, job: Job) -> None:
        """Write what the job says of its log; the caller holds the job's row."""
        ...

    async def follow_logs(self, job_ids: Collection[str], until: int) -> None:
        """Note on active jobs that until then (epoch ms) somebody reads their logs as they grow."""
        ...

    async def log_positions(self, job_ids: Collection[str]) -> Mapping[str, LogPosition]:
        """How far the logs of these jobs are."""
        ...

    async def unsettled_logs(self, before: int, limit: int) -> Sequence[str]:
        """Ids of jobs that ended before, or are gone, and whose logs were not settled yet."""
        ...

    async def settle_log(self, job_id: str, ended_at: int) -> None:
        """Nothing follows: compress what is not, and note how much the log takes and when its job ended."""
        ...

    async def stored_logs(self) -> int:
        """How many bytes all logs take, but for the newest pieces of those that still grow."""
        ...

    async def ended_logs(self, limit: int) -> Sequence[EndedLog]:
        """Settled logs, those whose jobs ended first."""
        ...

    async def delete_logs(self, job_ids: Collection[str]) -> None:
        """Delete all bytes of these logs."""
        ...

    async def log_part(self, job_id: str, holder: str) -> LogPart | None:
        """That holder's part of the log, if it was closed."""
        ...

    async def put_log_part(self, part: LogPart) -> None:
        """Write a part, new or known; the caller holds the job's row."""
        ...


class ReleaseRows(Protocol):
    """Table `fun_ai_deploy_release`: what each app ran, numbered from 1."""

    async def releases(self, app_id: str, before: int, limit: int) -> Sequence[Release]:
        """The app's releases with a number below `before`, newest first."""
        ...

    async def newest_release(self, app_id: str) -> Release | None:
        """The one with the highest number."""
        ...

    async def release(self, app_id: str, number: int) -> Release | None:
        """One release."""
        ...

    async def releases_with_images(self, app_id: str) -> Sequence[Release]:
        """Those whose image was not removed, newest first; at most a thousand."""
        ...

    async def insert_release(self, release: Release) -> bool:
        """False when the number is taken or the job has made one already."""
        ...

    async def mark_release(self, release: Release) -> None:
        """Write whether it is pinned, held, and still has its image; nothing else of a release changes."""
        ...

    async def delete_releases(self, app_id: str) -> int:
        """Forget the app's releases; how many."""
        ...


class ReviewRows(Protocol):
    """Table `fun_ai_deploy_image_review`: apps whose images in the registry are to be reviewed."""

    async def review(self, app_id: str) -> Review | None:
        """The review the app waits for."""
        ...

    async def ask_review(self, app_id: str, user_id: str | None, not_before: int) -> None:
        """Insert, or start over; `user_id` is set when the app's whole repository may go."""
        ...

    async def due_reviews(self, limit: int, now: int) -> Sequence[Review]:
        """Those that may start, the longest waiting first, locked, held rows skipped."""
        ...

    async def save_review(self, review: Review, was: Review) -> bool:
        """Write its times and error, at the version after `was`; False when somebody asked for another in between."""
        ...

    async def delete_review(self, review: Review) -> bool:
        """False when somebody asked for another in between."""
        ...
