"""Wrong passwords in a table that all processes of the API count in."""

from typing import Final

from daemons.api.domain.rates import Rate
from daemons.kit.sql import Database, Duplicate, Session

_MS: Final = 1000


class SqlLoginFailures:
    """The port `LoginFailures`."""

    def __init__(self, database: Database, rate: Rate) -> None:
        self._database = database
        self._rate = rate

    async def take(self, name: str) -> float:
        """One more, or how many seconds are to be waited."""

        async def work(session: Session) -> float:
            now = await session.now()
            row = await session.row("lock_login_failure", name_hash=name)
            was = int(row["owed_until"]) if row else now
            owed, wait = self._rate.after(was / _MS, now / _MS)
            if not wait:
                change = "set_login_failure" if row else "add_login_failure"
                await session.change(change, name_hash=name, owed_until=round(owed * _MS))
            return wait

        try:
            return await self._database.transact(work)
        except Duplicate:
            # Another attempt at the same name was first.
            return await self._database.transact(work)

    async def give_back(self, name: str) -> None:
        """The last one was none."""
        interval_ms = round((0.0 - self._rate.before(0.0)) * _MS)

        async def work(session: Session) -> None:
            await session.change("give_back_login_failure", name_hash=name, interval_ms=interval_ms)

        await self._database.transact(work)

    async def tidy(self) -> int:
        """Forget names that nothing is owed for; how many."""

        async def work(session: Session) -> int:
            return await session.change("forget_login_failures", now=await session.now())

        return await self._database.transact(work)
