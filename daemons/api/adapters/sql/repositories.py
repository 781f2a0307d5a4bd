"""What is wanted of repositories, in the rows of apps, each worked on by one process at a time."""

from daemons.api.domain.repositories import SetUp, Wanted
from daemons.kit.sql import Database, Session


class SqlRepositories:
    """The port `RepositoryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, hold_ms: int) -> Wanted | None:
        """One that is due; nobody else gets it for so long."""

        async def work(session: Session) -> Wanted | None:
            now = await session.now()
            for row in await session.rows("due_repositories", now=now):
                until = now + hold_ms
                due = {"id": row["id"], "next_at": row["repo_next_at"]}
                if await session.change("hold_repository", until=until, now=now, **due):
                    return Wanted(
                        app_id=int(row["id"]),
                        user_id=int(row["user_id"]),
                        begun=bool(row["repo_begun"]),
                        attempts=int(row["repo_attempts"]),
                        next_at=int(row["repo_next_at"]),
                        held_until=until,
                    )
            return None

        return await self._database.transact(work)

    async def save(self, wanted: Wanted, outcome: SetUp) -> bool:
        """Write an attempt down and let go: whether it was."""

        async def work(session: Session) -> bool:
            changed = await session.change(
                "save_repository",
                id=wanted.app_id,
                status=outcome.status.value,
                reason=outcome.reason,
                attempts=outcome.attempts,
                begun=int(outcome.begun),
                next_at=outcome.next_at,
                was_next_at=wanted.next_at,
                held=wanted.held_until,
            )
            if not changed:
                await session.change("let_deleted_repository", id=wanted.app_id, held=wanted.held_until)
            return changed == 1

        return await self._database.transact(work)

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        return await self._database.now()
