"""Sessions in tables. A session's refresh tokens are changed under its row's lock, so a family has one newest."""

from dataclasses import replace

from daemons.api.adapters.sql.accounts import account_of, end_sessions
from daemons.api.domain.accounts import Account, Lives, NotLoggedIn, Session
from daemons.kit.sql import Database
from daemons.kit.sql import Session as Transaction


class SqlSessions:
    """The port `SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, account: Account, password_hash: str, session_id: str, token: str, lives: Lives) -> Session:
        """A session with its first refresh token, as a hash. Raises NotLoggedIn when the account is disabled, or its
        hash is another than was checked."""

        async def work(tx: Transaction) -> Session:
            row = await tx.row("lock_account", user_id=account.user_id)
            if row is None or not row["enabled"] or row["password_hash"] != password_hash:
                raise NotLoggedIn("the account was changed meanwhile")
            now = await tx.now()
            ends = now + lives.session * 1000
            await tx.change("add_session", id=session_id, user_id=account.user_id, expire_time=ends, now=now)
            await tx.change("note_login", user_id=account.user_id, now=now)
            until = lives.refresh_until(now, ends)
            await tx.change("add_refresh_token", token_hash=token, session_id=session_id, expire_time=until, now=now)
            return Session(session_id, replace(account, logged_in_at=now), ends, until - now)

        return await self._database.transact(work)

    async def session(self, session_id: str) -> Session | None:
        """One that has not ended."""

        async def work(tx: Transaction) -> Session | None:
            return await _session(tx, session_id)

        return await self._database.transact(work)

    async def rotate(self, token: str, following: str, lives: Lives) -> Session | None:
        """Spend a refresh token for the next one, both as hashes; None for one that is not valid. One that was spent
        before ends its session: either its owner or a thief has shown it, and nobody knows who."""

        async def work(tx: Transaction) -> Session | None:
            shown = await tx.row("refresh_token", token_hash=token)
            if shown is None:
                return None
            session_id, now = str(shown["session_id"]), await tx.now()
            await tx.row("lock_session", id=session_id)
            found = await _session(tx, session_id)
            if found is None or not found.account.enabled or int(shown["expire_time"]) <= now:
                return None
            if not await tx.change("spend_refresh_token", token_hash=token, now=now):
                await tx.change("end_tokens", id=session_id)
                await tx.change("end_session", id=session_id)
                return None
            until = lives.refresh_until(now, found.expires_at)
            values = {"token_hash": following, "session_id": session_id}
            await tx.change("add_refresh_token", expire_time=until, now=now, **values)
            return Session(session_id, found.account, found.expires_at, until - now)

        return await self._database.transact(work)

    async def end(self, session_id: str) -> None:
        """It is over; repeating it is harmless."""

        async def work(tx: Transaction) -> None:
            await tx.row("lock_session", id=session_id)
            await tx.change("end_tokens", id=session_id)
            await tx.change("end_session", id=session_id)

        await self._database.transact(work)

    async def end_all(self, user_id: int) -> None:
        """All of a user's are over."""

        async def work(tx: Transaction) -> None:
            await tx.row("lock_account", user_id=user_id)
            await end_sessions(tx, user_id)

        await self._database.transact(work)

    async def tidy(self) -> int:
        """Forget some that have ended; how many."""

        async def work(tx: Transaction) -> int:
            ended = await tx.rows("ended_sessions", now=await tx.now())
            for row in ended:
                await tx.change("end_session", id=row["id"])
                await tx.change("end_tokens", id=row["id"])
            return len(ended)

        return await self._database.transact(work)


async def _session(tx: Transaction, session_id: str) -> Session | None:
    row = await tx.row("session", id=session_id)
    if row is None or int(row["expire_time"]) <= await tx.now():
        return None
    return Session(session_id, account_of(row), int(row["expire_time"]))
