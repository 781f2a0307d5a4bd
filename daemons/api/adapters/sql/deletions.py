"""Deletions of apps in a table, each worked on by one process at a time."""

from collections.abc import Sequence

from daemons.api.domain.access import NotFound
from daemons.api.domain.apps import FRESH_PLACE_MS
from daemons.api.domain.deletions import EVERYTHING, Deletion
from daemons.kit.sql import Database, Row, Session, optional_moment
from protocol.api import AppPart


class SqlDeletions:
    """The port `DeletionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, user_id: int, app_id: int) -> Deletion:
        """The app is gone, and its deletion written down. Raises NotFound."""

        async def work(session: Session) -> Deletion:
            # Whoever takes a place for a deployment holds the same lock.
            await session.row("lock_user", id=user_id)
            # Whoever sets up its repository locks the app's row.
            await session.row("lock_app", id=app_id)
            app = await session.row("app_to_delete", id=app_id)
            if app is None or int(app["user_id"]) != user_id:
                begun = await session.row("deletion", app_id=app_id)
                if begun is None or int(begun["user_id"]) != user_id:
                    raise NotFound(f"there is no app {app_id}")
                return _deletion(begun)
            now = await session.now()
            placed, held = app["live_since"], optional_moment(app["repo_held_until"])
            settled = now if placed is None else max(now, int(placed) + FRESH_PLACE_MS)
            await session.change(
                "begin_deletion",
                app_id=app_id,
                user_id=user_id,
                app_name=str(app["app_name"]),
                asked_at=now,
                settled_at=settled,
                parts_left=_words(EVERYTHING),
                repo_held_until=held,
            )
            await session.change("end_git_loans_of_app", app_id=app_id, now=now)
            await session.change("delete_push", app_id=app_id)
            await session.change("delete_result", app_id=app_id)
            await session.change("forget_domains", app_id=app_id)
            await session.change("delete_app", app_id=app_id, user_id=user_id)
            return Deletion(app_id, user_id, str(app["app_name"]), now, settled, next_at=now, repo_held_until=held)

        return await self._database.transact(work)

    async def find(self, app_id: int) -> Deletion | None:
        """One of them."""

        async def work(session: Session) -> Deletion | None:
            row = await session.row("deletion", app_id=app_id)
            return _deletion(row) if row else None

        return await self._database.transact(work)

    async def owner(self, app_id: int) -> int | None:
        """Whose the app is; of one whose deletion began, whose it was."""

        async def work(session: Session) -> int | None:
            row = await session.row("owner_of_app", app_id=app_id)
            return int(row["user_id"]) if row else None

        return await self._database.transact(work)

    async def unfinished(self) -> Sequence[Deletion]:
        """Those that go on, oldest first."""

        async def work(session: Session) -> Sequence[Deletion]:
            return [_deletion(row) for row in await session.rows("unfinished_deletions")]

        return await self._database.transact(work)

    async def claim(self, hold_ms: int) -> Deletion | None:
        """One that is due; nobody else gets it for so long."""

        async def work(session: Session) -> Deletion | None:
            now = await session.now()
            for row in await session.rows("due_deletions", now=now):
                until = now + hold_ms
                due = {"app_id": row["app_id"], "next_at": row["next_at"]}
                if await session.change("hold_deletion", until=until, **due):
                    return _deletion({**row, "next_at": until})
            return None

        return await self._database.transact(work)

    async def save(self, deletion: Deletion, claimed: Deletion) -> bool:
        """Write an attempt down, also how far it is while it goes on, unless somebody else claimed it meanwhile:
        whether it was."""

        async def work(session: Session) -> bool:
            changed = await session.change(
                "save_deletion",
                app_id=deletion.app_id,
                parts_left=_words(deletion.left),
                attempts=deletion.attempts,
                problem=deletion.problem,
                next_at=deletion.next_at,
                done_at=deletion.done_at,
                held=claimed.next_at,
            )
            if changed and deletion.done_at is not None:
                await session.change("leave_slug", app_id=deletion.app_id)
            return changed == 1

        return await self._database.transact(work)

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        return await self._database.now()

    async def forget(self, age_ms: int) -> int:
        """Forget those that were done so long ago; how many."""

        async def work(session: Session) -> int:
            return await session.change("forget_deletions", before=await session.now() - age_ms)

        return await self._database.transact(work)


def _words(parts: Sequence[AppPart]) -> str:
    return ",".join(part.value for part in parts)


def _deletion(row: Row) -> Deletion:
    left = str(row["parts_left"])
    return Deletion(
        app_id=int(row["app_id"]),
        user_id=int(row["user_id"]),
        app_name=str(row["app_name"]),
        asked_at=int(row["asked_at"]),
        settled_at=int(row["settled_at"]),
        left=tuple(AppPart(word) for word in left.split(",") if word),
        attempts=int(row["attempts"]),
        problem=row["problem"],
        next_at=optional_moment(row["next_at"]),
        done_at=optional_moment(row["done_at"]),
        repo_held_until=optional_moment(row["repo_held_until"]),
    )
