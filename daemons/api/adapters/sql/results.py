"""What the control plane told of ended jobs, in tables."""

from collections.abc import Mapping, Sequence

from daemons.api.domain.apps import Result
from daemons.api.ports import Learned
from daemons.kit.sql import Database, Duplicate, Row, Session
from protocol.jobs import JobStatus


class SqlResults:
    """The port `ResultStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def learn(self, delivery: str, app_id: int, result: Result) -> Learned:
        """Write down how the app's job ended, unless it was told before or a newer result is known."""

        async def work(session: Session) -> Learned:
            if await session.row("lock_app", id=app_id) is None:
                return Learned.UNKNOWN_APP
            now = await session.now()
            try:
                await session.change("add_delivery", id=delivery, now=now)
            except Duplicate:
                return Learned.REPEATED
            row = await session.row("result", app_id=app_id)
            if row is not None and result.outdated_by(_result(row)):
                return Learned.OUTDATED
            await session.change(
                "add_result" if row is None else "save_result",
                app_id=app_id,
                job_id=result.job_id,
                status=result.status.value,
                error=result.error,
                url=result.url,
                job_create_time=result.created_at,
                job_end_time=result.ended_at,
                now=now,
            )
            return Learned.NEWEST

        return await self._database.transact(work)

    async def results_of(self, app_ids: Sequence[int]) -> Mapping[int, Result]:
        """How the newest job of each of these apps ended, of those that were told."""

        async def work(session: Session) -> Mapping[int, Result]:
            rows = await session.rows("results_of", app_ids=list(app_ids))
            return {int(row["app_id"]): _result(row) for row in rows}

        return await self._database.transact(work) if app_ids else {}

    async def forget(self, age_ms: int) -> int:
        """Forget which deliveries were taken so long ago; how many."""

        async def work(session: Session) -> int:
            return await session.change("forget_deliveries", before=await session.now() - age_ms)

        return await self._database.transact(work)


def _result(row: Row) -> Result:
    return Result(
        job_id=str(row["job_id"]),
        status=JobStatus(row["status"]),
        created_at=int(row["job_create_time"]),
        ended_at=int(row["job_end_time"]),
        error=row["error"],
        url=row["url"],
    )
