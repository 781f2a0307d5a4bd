"""Who somebody is at a provider, and logins that it was asked for, in tables."""

import hashlib

from daemons.api.adapters.sql.accounts import account_of, locked_account, made_account
from daemons.api.domain.accounts import Account, AccountExists
from daemons.api.domain.identities import Attempt, Identity
from daemons.kit.sql import Database, Duplicate, Session
from protocol.accounts import Role


class SqlIdentities:
    """The port `IdentityStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, attempt: Attempt, seconds: int) -> None:
        """A login was begun; its answer is waited for so long."""

        async def work(session: Session) -> None:
            until = await session.now() + seconds * 1000
            kept = {**_proof(attempt.state, attempt.browser), "nonce": attempt.nonce, "verifier": attempt.verifier}
            await session.change("add_identity_attempt", **kept, expire_time=until)

        await self._database.transact(work)

    async def take(self, state: str, browser: str) -> Attempt | None:
        """The login of that state, if that browser began it: once, and not too late."""

        async def work(session: Session) -> Attempt | None:
            proof = _proof(state, browser)
            row = await session.row("identity_attempt", **proof)
            # Of two answers at once one finds the row gone.
            if row is None or not await session.change("take_identity_attempt", **proof):
                return None
            if int(row["expire_time"]) <= await session.now():
                return None
            return Attempt(state, browser, str(row["nonce"]), str(row["verifier"]))

        return await self._database.transact(work)

    async def account(self, identity: Identity) -> tuple[Account, str] | None:
        """The account of an identity, and the hash of its password."""

        async def work(session: Session) -> tuple[Account, str] | None:
            row = await session.row("identity", identity_hash=identity.digest)
            return (account_of(row), str(row["password_hash"])) if row else None

        return await self._database.transact(work)

    async def create(self, identity: Identity, password_hash: str) -> tuple[Account, str]:
        """A new user with an account; one that was made meanwhile is answered instead."""

        async def work(session: Session) -> Account:
            account = await made_account(session, identity.name, password_hash, Role.USER, None)
            await _linked(session, identity, account.user_id)
            return account

        try:
            return await self._database.transact(work), password_hash
        except (AccountExists, Duplicate):
            found = await self.account(identity)
            if found is None:
                raise
            return found

    async def link(self, identity: Identity, user_id: int) -> Account:
        """The account is the identity's too. Raises UnknownAccount, AccountExists when the identity has another."""

        async def work(session: Session) -> Account:
            account = await locked_account(session, user_id)
            row = await session.row("identity", identity_hash=identity.digest)
            if row is None:
                await _linked(session, identity, user_id)
            elif int(row["user_id"]) != user_id:
                raise AccountExists("this identity has another account")
            return account

        try:
            return await self._database.transact(work)
        except Duplicate:
            raise AccountExists("this identity was given an account meanwhile") from None

    async def tidy(self) -> int:
        """Forget logins that were not finished; how many."""

        async def work(session: Session) -> int:
            return await session.change("forget_identity_attempts", now=await session.now())

        return await self._database.transact(work)


def _proof(state: str, browser: str) -> dict[str, str]:
    return {"state_hash": _digest(state), "browser_hash": _digest(browser)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


async def _linked(session: Session, identity: Identity, user_id: int) -> None:
    said = {"issuer": identity.issuer, "subject": identity.subject}
    now = await session.now()
    await session.change("add_identity", identity_hash=identity.digest, user_id=user_id, **said, now=now)
