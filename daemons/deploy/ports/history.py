"""Rows of what happened: events, logs, releases and the reviews of their images."""

from collections.abc import Sequence
from typing import Protocol

from daemons.deploy.domain.events import Event, NewEvent
from daemons.deploy.domain.releases import Release, Review


class EventRows(Protocol):
    """Table `fun_ai_deploy_event`, append-only."""

    async def append(self, event: NewEvent) -> None:
        """Append in this transaction; `at` is the database's clock."""
        ...

    async def events_after(self, seq: int, limit: int) -> Sequence[Event]:
        """Committed events with a higher number, in order; numbers of open transactions are missing."""
        ...

    async def event_numbers(self, low: int, high: int, *, uncommitted: bool) -> frozenset[int]:
        """Numbers above `low` and up to `high` in the log; with `uncommitted` also those that open transactions hold,
        and then this must be the transaction's first call."""
        ...

    async def event_bounds(self) -> tuple[int, int]:
        """The lowest and highest number in the log; (0, 0) when it is empty."""
        ...

    async def delete_events(self, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before` (epoch ms); how many."""
        ...


class LogRows(Protocol):
    """Table `fun_ai_deploy_job_log`: a job's log as consecutive byte ranges."""

    async def append_log(self, job_id: str, offset: int, data: bytes) -> None:
        """Store the bytes that begin at `offset`; the caller holds the job's row and checked the offset."""
        ...

    async def read_log(self, job_id: str, offset: int, limit: int) -> bytes:
        """At most about `limit` bytes from `offset`; empty at the end."""
        ...


class ReleaseRows(Protocol):
    """Table `fun_ai_deploy_release`: what each app ran, numbered from 1."""

    async def releases(self, app_id: str, before: int, limit: int) -> Sequence[Release]:
        """The app's releases with a number below `before`, newest first."""
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
