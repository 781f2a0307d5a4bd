"""Pushes that are deployed, in a table, each worked on by one process at a time."""

from daemons.api.domain.access import NotFound
from daemons.api.domain.pushes import Push, PushRule
from daemons.kit.sql import Database, Duplicate, Row, Session, optional_moment
from protocol.pushes import PushOutcome


class SqlPushes:
    """The port `PushStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_app(self, app_id: int) -> tuple[PushRule, Push | None]:
        """Which pushes of the app are deployed, and the newest of them."""

        async def work(session: Session) -> tuple[PushRule, Push | None]:
            row = await session.row("push_of", app_id=app_id)
            return (PushRule(), None) if row is None else (_rule(row), _push(row))

        return await self._database.transact(work)

    async def set_rule(self, app_id: int, rule: PushRule) -> None:
        """Change which are. Raises NotFound."""

        async def work(session: Session) -> None:
            await _lock(session, app_id)
            known = await session.row("push_of", app_id=app_id)
            statement = "add_push_rule" if known is None else "save_push_rule"
            branches = ",".join(rule.branches)
            await session.change(statement, app_id=app_id, enabled=int(rule.enabled), branches=branches)
            if rule.enabled:
                await session.change("want_repository", id=app_id, now=await session.now())

        await self._database.transact(work)

    async def take(self, app_id: int, delivery: str, branch: str, commit: str) -> PushOutcome:
        """Write a push down, unless this delivery was taken before or nobody asked for it. Raises NotFound."""

        async def work(session: Session) -> PushOutcome:
            await _lock(session, app_id)
            now = await session.now()
            try:
                await session.change("add_git_delivery", id=delivery, now=now)
            except Duplicate:
                return PushOutcome.REPEATED
            row = await session.row("push_of", app_id=app_id)
            if row is None or not _rule(row).covers(branch):
                return PushOutcome.IGNORED
            said = {"delivery": delivery, "branch": branch, "commit_id": commit}
            await session.change("take_push", app_id=app_id, now=now, **said)
            return PushOutcome.QUEUED

        return await self._database.transact(work)

    async def claim(self, hold_ms: int) -> Push | None:
        """One that is due; nobody else gets it, nor a newer one of its app, for so long."""

        async def work(session: Session) -> Push | None:
            now = await session.now()
            for row in await session.rows("due_pushes", now=now):
                until = now + hold_ms
                due = {"app_id": row["app_id"], "delivery": row["delivery"], "next_at": row["next_at"]}
                if await session.change("hold_push", until=until, now=now, **due):
                    return _push({**row, "held_until": until})
            return None

        return await self._database.transact(work)

    async def save(self, push: Push, claimed: Push) -> bool:
        """Write an attempt down and let go; whether there is no newer push, and nobody else claimed it meanwhile."""

        async def work(session: Session) -> bool:
            changed = await session.change(
                "save_push",
                app_id=push.app_id,
                delivery=push.delivery,
                attempts=push.attempts,
                problem=push.problem,
                job_id=push.job_id,
                next_at=push.next_at,
                held=claimed.held_until,
            )
            if not changed:
                await session.change("let_push", app_id=push.app_id, held=claimed.held_until)
            return changed == 1

        return await self._database.transact(work)

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        return await self._database.now()

    async def forget(self, age_ms: int) -> int:
        """Forget which deliveries were taken so long ago; how many."""

        async def work(session: Session) -> int:
            return await session.change("forget_git_deliveries", before=await session.now() - age_ms)

        return await self._database.transact(work)


async def _lock(session: Session, app_id: int) -> None:
    if await session.row("lock_app", id=app_id) is None:
        raise NotFound(f"there is no app {app_id}")


def _rule(row: Row) -> PushRule:
    return PushRule(bool(row["enabled"]), tuple(str(row["branches"]).split(",")))


def _push(row: Row) -> Push | None:
    if row["delivery"] is None:
        return None
    return Push(
        app_id=int(row["app_id"]),
        delivery=str(row["delivery"]),
        branch=str(row["branch"]),
        commit=str(row["commit_id"]),
        received_at=int(row["received_at"]),
        attempts=int(row["attempts"]),
        problem=row["problem"],
        job_id=row["job_id"],
        next_at=optional_moment(row["next_at"]),
        held_until=optional_moment(row["held_until"]),
    )
