"""Statements about releases and about the apps whose images are to be reviewed."""

import json
from collections.abc import Sequence

from daemons.deploy.domain.releases import Release, Review
from daemons.kit.sql import Duplicate, Row, Session

_MOST_IMAGES = 1000


class ReleaseStatements:
    """The port `ReleaseRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def releases(self, app_id: str, before: int, limit: int) -> Sequence[Release]:
        """The app's releases with a number below `before`, newest first."""
        rows = await self._session.rows("releases_before", app_id=app_id, before=before, limit=limit)
        return [release_of(row) for row in rows]

    async def newest_release(self, app_id: str) -> Release | None:
        """What the app runs."""
        row = await self._session.row("newest_release", app_id=app_id)
        return None if row is None else release_of(row)

    async def release(self, app_id: str, number: int) -> Release | None:
        """One release."""
        row = await self._session.row("release", app_id=app_id, number=number)
        return None if row is None else release_of(row)

    async def releases_with_images(self, app_id: str) -> Sequence[Release]:
        """Those whose image was not removed, newest first; at most a thousand."""
        rows = await self._session.rows("releases_with_images", app_id=app_id, limit=_MOST_IMAGES)
        return [release_of(row) for row in rows]

    async def insert_release(self, release: Release) -> bool:
        """False when the number is taken or the job has made one already."""
        try:
            await self._session.change(
                "insert_release",
                app_id=release.app_id,
                number=release.number,
                user_id=release.user_id,
                job_id=release.job_id,
                image=release.image,
                image_digest=release.image_digest,
                commit_sha=release.commit,
                config_hash=release.config_hash,
                payload_json=json.dumps(dict(release.payload), ensure_ascii=False, separators=(",", ":")),
                node_id=release.node_id,
                pinned=int(release.pinned),
                held_until=release.held_until,
                image_removed_at=release.image_removed_at,
                create_time=release.created_at,
            )
        except Duplicate:
            return False
        return True

    async def mark_release(self, release: Release) -> None:
        """Write whether it is pinned, held, and still has its image."""
        await self._session.change(
            "mark_release",
            app_id=release.app_id,
            number=release.number,
            pinned=int(release.pinned),
            held_until=release.held_until,
            image_removed_at=release.image_removed_at,
        )

    async def delete_releases(self, app_id: str) -> int:
        """Forget the app's releases; how many."""
        return await self._session.change("delete_releases", app_id=app_id)


class ReviewStatements:
    """The port `ReviewRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def review(self, app_id: str) -> Review | None:
        """The review the app waits for."""
        row = await self._session.row("image_review", app_id=app_id)
        return None if row is None else _review(row)

    async def ask_review(self, app_id: str, user_id: str | None, not_before: int) -> None:
        """Insert, or start over."""
        await self._session.change("ask_image_review", app_id=app_id, user_id=user_id, not_before=not_before)

    async def due_reviews(self, limit: int, now: int) -> Sequence[Review]:
        """Those that may start, locked, held rows skipped."""
        return [_review(row) for row in await self._session.rows("due_image_reviews", limit=limit, now=now)]

    async def save_review(self, review: Review, was: Review) -> bool:
        """False when somebody asked for another in between."""
        changed = await self._session.change(
            "save_image_review",
            app_id=review.app_id,
            not_before=review.not_before,
            attempts=review.attempts,
            last_error=review.last_error,
            version=was.version + 1,
            was_version=was.version,
        )
        return changed == 1

    async def delete_review(self, review: Review) -> bool:
        """False when somebody asked for another in between."""
        return await self._session.change("delete_image_review", app_id=review.app_id, version=review.version) == 1


def release_of(row: Row) -> Release:
    """A row as it is stored."""
    return Release(
        app_id=row["app_id"],
        number=row["number"],
        user_id=row["user_id"],
        job_id=row["job_id"],
        image=row["image"],
        image_digest=row["image_digest"],
        commit=row["commit_sha"],
        config_hash=row["config_hash"],
        payload=json.loads(row["payload_json"]),
        node_id=row["node_id"],
        created_at=row["create_time"],
        pinned=bool(row["pinned"]),
        held_until=row["held_until"],
        image_removed_at=row["image_removed_at"],
    )


def _review(row: Row) -> Review:
    return Review(
        app_id=row["app_id"],
        user_id=row["user_id"],
        not_before=row["not_before"],
        attempts=row["attempts"],
        last_error=row["last_error"],
        version=row["version"],
    )
