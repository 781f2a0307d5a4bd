"""Keys that were lent, in a table; each is taken back by one process at a time."""

from collections.abc import Sequence
from dataclasses import replace

from daemons.api.domain.access import NotFound
from daemons.api.domain.loans import MOST_LOANS, Loan, LoanExists, TooManyLoans
from daemons.kit.sql import Database, Duplicate, Row, Session


class SqlLoans:
    """The port `LoanStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, loan: Loan, seconds: float, arriving_ms: int) -> Loan:
        """Write it down with its times. Raises NotFound, TooManyLoans, LoanExists."""

        async def work(session: Session) -> Loan:
            # Whoever deletes the app holds the same lock, and finds the loan or has made the app disappear.
            await session.row("lock_app", id=loan.app_id)
            app = await session.row("app_to_lend_for", id=loan.app_id)
            if app is None or int(app["user_id"]) != loan.user_id:
                raise NotFound(f"there is no app {loan.app_id}")
            counted = await session.row("count_git_loans", app_id=loan.app_id)
            if counted is not None and int(counted["found"]) >= MOST_LOANS:
                raise TooManyLoans(f"{MOST_LOANS} keys are lent for app {loan.app_id}; wait until some are taken back")
            now = await session.now()
            expires = now + int(seconds * 1000)
            begun = replace(loan, expires_at=expires, settled_at=now + arriving_ms, next_at=expires)
            await session.change(
                "add_git_loan",
                fingerprint=begun.fingerprint,
                user_id=begun.user_id,
                app_id=begun.app_id,
                node=begun.node,
                repository=begun.repository,
                expires_at=begun.expires_at,
                settled_at=begun.settled_at,
            )
            return begun

        try:
            return await self._database.transact(work)
        except Duplicate:
            raise LoanExists("this key was lent before; make a new one") from None

    async def begun(self, fingerprint: str) -> bool:
        """The key is let in, and the loan goes on: whether it does."""

        async def work(session: Session) -> bool:
            now = await session.now()
            await session.change("settle_git_loan", fingerprint=fingerprint, now=now)
            row = await session.row("git_loan", fingerprint=fingerprint)
            return row is not None and int(row["expires_at"]) > now

        return await self._database.transact(work)

    async def take(self, fingerprint: str, node: str | None, hold_ms: int) -> Loan | None:
        """The loan is over from now on, and held by who asks."""

        async def work(session: Session) -> Loan | None:
            row = await session.row("git_loan", fingerprint=fingerprint)
            if row is None or (node is not None and str(row["node"]) != node):
                return None
            now = await session.now()
            until = now + hold_ms
            # Another hold than any there is: who has that loses it.
            until += until == int(row["next_at"])
            expires = min(int(row["expires_at"]), now)
            await session.change("end_git_loan", fingerprint=fingerprint, expires_at=expires, next_at=until)
            return replace(_loan(row), expires_at=expires, next_at=until)

        return await self._database.transact(work)

    async def of_app(self, user_id: int, app_id: int, node: str) -> Sequence[str]:
        """Fingerprints of what was lent to the node for the app."""

        async def work(session: Session) -> Sequence[str]:
            rows = await session.rows("git_loans_of_app", app_id=app_id, user_id=user_id, node=node)
            return [str(row["fingerprint"]) for row in rows]

        return await self._database.transact(work)

    async def claim(self, hold_ms: int) -> Loan | None:
        """One whose end is due; nobody else gets it for so long."""

        async def work(session: Session) -> Loan | None:
            now = await session.now()
            for due in await session.rows("due_git_loans", now=now):
                held = {"fingerprint": due["fingerprint"], "next_at": due["next_at"]}
                if await session.change("hold_git_loan", until=now + hold_ms, **held):
                    row = await session.row("git_loan", fingerprint=due["fingerprint"])
                    return _loan(row) if row else None
            return None

        return await self._database.transact(work)

    async def save(self, claimed: Loan, after: Loan | None) -> bool:
        """Write down how an attempt ended, unless somebody else claimed it meanwhile: whether it was."""

        async def work(session: Session) -> bool:
            fingerprint, held = claimed.fingerprint, claimed.next_at
            if after is None:
                return await session.change("forget_git_loan", fingerprint=fingerprint, held=held) == 1
            changed = await session.change(
                "save_git_loan",
                fingerprint=fingerprint,
                held=held,
                attempts=after.attempts,
                problem=after.problem,
                next_at=after.next_at,
            )
            return changed == 1

        return await self._database.transact(work)

    async def apps(self, beyond: int, most: int) -> Sequence[tuple[int, int]]:
        """So many apps with ids greater than that, by id: user and app."""

        async def work(session: Session) -> Sequence[tuple[int, int]]:
            rows = await session.rows("apps_beyond", beyond=beyond, most=most)
            return [(int(row["user_id"]), int(row["id"])) for row in rows]

        return await self._database.transact(work)

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        return await self._database.now()


def _loan(row: Row) -> Loan:
    return Loan(
        fingerprint=str(row["fingerprint"]),
        user_id=int(row["user_id"]),
        app_id=int(row["app_id"]),
        node=str(row["node"]),
        repository=str(row["repository"]),
        expires_at=int(row["expires_at"]),
        settled_at=int(row["settled_at"]),
        next_at=int(row["next_at"]),
        attempts=int(row["attempts"]),
        problem=row["problem"],
    )
