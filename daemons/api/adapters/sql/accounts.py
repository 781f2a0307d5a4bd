"""Accounts and API keys in tables. Whatever ends or begins an account's sessions locks the account's row first."""

from collections.abc import Sequence
from typing import Final

from daemons.api.domain.accounts import Account, AccountExists, NotLoggedIn, UnknownAccount, role_of, type_of
from daemons.api.ports.accounts import ApiKey, ApiKeyLimit
from daemons.kit.sql import Database, Duplicate, Row, Session
from protocol.accounts import Role, is_user_name

_DAY_MS: Final = 24 * 3600 * 1000
_MOST_TRIES: Final = 20


class SqlAccounts:
    """The port `AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, password_hash: str, role: Role, user_id: int | None) -> Account:
        """Make one, for a new user or for one who is there. Raises AccountExists, UnknownAccount (no such user)."""

        async def work(session: Session) -> Account:
            now = await session.now()
            owner = await _user(session, name, user_id, now)
            values = {"login_name": name, "password_hash": password_hash}
            try:
                await session.change("add_account", user_id=owner, now=now, **values)
            except Duplicate:
                raise AccountExists("there is an account of this name, or of this user") from None
            await session.change("set_role", user_id=owner, user_type=type_of(role), now=now)
            return await _account(session, owner)

        return await self._database.transact(work)

    async def account(self, user_id: int) -> Account | None:
        """One account."""

        async def work(session: Session) -> Account | None:
            row = await session.row("account", user_id=user_id)
            return account_of(row) if row else None

        return await self._database.transact(work)

    async def named(self, name: str) -> tuple[Account, str] | None:
        """The account of a name, and the hash of its password."""
        # MariaDB fails over what is not ASCII, and finds a name also with spaces behind it: many names of one account
        # would be as many chances to guess.
        if not is_user_name(name):
            return None

        async def work(session: Session) -> tuple[Account, str] | None:
            row = await session.row("account_named", login_name=name)
            return (account_of(row), str(row["password_hash"])) if row else None

        return await self._database.transact(work)

    async def page(self, offset: int, most: int) -> Sequence[Account]:
        """Some of them, by their ids."""

        async def work(session: Session) -> Sequence[Account]:
            return [account_of(row) for row in await session.rows("accounts", offset=offset, most=most)]

        return await self._database.transact(work)

    async def enable(self, user_id: int, *, enabled: bool) -> Account:
        """Raises UnknownAccount."""

        async def work(session: Session) -> Account:
            await _locked(session, user_id)
            await session.change("enable_account", user_id=user_id, enabled=int(enabled), now=await session.now())
            if not enabled:
                await end_sessions(session, user_id)
            return await _account(session, user_id)

        return await self._database.transact(work)

    async def set_role(self, user_id: int, role: Role) -> Account:
        """Raises UnknownAccount."""

        async def work(session: Session) -> Account:
            await _locked(session, user_id)
            await session.change("set_role", user_id=user_id, user_type=type_of(role), now=await session.now())
            await end_sessions(session, user_id)
            return await _account(session, user_id)

        return await self._database.transact(work)

    async def set_password(self, user_id: int, password_hash: str, *, was: str | None, keep: str | None) -> Account:
        """`was` is the hash that it must have been, `keep` the session that goes on. Raises UnknownAccount, NotLoggedIn
        when it is another by now."""

        async def work(session: Session) -> Account:
            row = await _locked(session, user_id)
            if was is not None and row["password_hash"] != was:
                raise NotLoggedIn("the password was changed meanwhile")
            now = await session.now()
            await session.change("set_password", user_id=user_id, password_hash=password_hash, now=now)
            await end_sessions(session, user_id, keep)
            return await _account(session, user_id)

        return await self._database.transact(work)

    async def rehash(self, user_id: int, password_hash: str, was: str) -> None:
        """The same password, hashed anew; nothing happens when it is another by now."""

        async def work(session: Session) -> None:
            row = await session.row("lock_account", user_id=user_id)
            if row is not None and row["password_hash"] == was:
                now = await session.now()
                await session.change("set_password", user_id=user_id, password_hash=password_hash, now=now)

        await self._database.transact(work)


class SqlApiKeys:
    """The port `ApiKeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: int, title: str, role: Role, key: str, days: int | None, most: int) -> ApiKey:
        """Keep a key's hash. Raises ApiKeyLimit."""

        async def work(session: Session) -> ApiKey:
            await session.row("lock_account", user_id=user_id)
            held = await session.row("count_api_keys", user_id=user_id)
            if held is not None and int(held["held"]) >= most:
                raise ApiKeyLimit(f"an account has at most {most} API keys; delete one first")
            now = await session.now()
            ends = None if days is None else now + days * _DAY_MS
            values = {"user_id": user_id, "user_type": type_of(role), "expire_time": ends, "now": now}
            number = await session.insert("add_api_key", title=title, key_hash=key, **values)
            return ApiKey(number, title, role, now, ends)

        return await self._database.transact(work)

    async def of_user(self, user_id: int) -> Sequence[ApiKey]:
        """A user's keys, oldest first."""

        async def work(session: Session) -> Sequence[ApiKey]:
            return [
                _key(row, row["user_type"], row["create_time"])
                for row in await session.rows("api_keys_of", user_id=user_id)
            ]

        return await self._database.transact(work)

    async def remove(self, user_id: int, key_id: int) -> bool:
        """Whether it was there."""

        async def work(session: Session) -> bool:
            return await session.change("remove_api_key", id=key_id, user_id=user_id) == 1

        return await self._database.transact(work)

    async def holder(self, key: str) -> tuple[Account, ApiKey] | None:
        """Whose key has this hash; None for one that has ended."""

        async def work(session: Session) -> tuple[Account, ApiKey] | None:
            row = await session.row("api_key", key_hash=key)
            if row is None or (row["expire_time"] is not None and int(row["expire_time"]) <= await session.now()):
                return None
            return account_of(row), _key(row, row["key_type"], row["key_time"])

        return await self._database.transact(work)


def account_of(row: Row) -> Account:
    """The account in a row of `account`, `session` or `api_key`."""
    role, last = role_of(int(row["user_type"])), row["last_login_time"]
    return Account(
        int(row["user_id"]),
        str(row["login_name"]),
        role,
        bool(row["enabled"]),
        int(row["create_time"]),
        None if last is None else int(last),
    )


async def end_sessions(session: Session, user_id: int, keep: str | None = None) -> None:
    """All of a user's but one; the account's row is locked."""
    for row in await session.rows("sessions_of", user_id=user_id):
        if row["id"] != keep:
            await session.change("end_session", id=row["id"])
            await session.change("end_tokens", id=row["id"])


async def _user(session: Session, name: str, user_id: int | None, now: int) -> int:
    """The user to be given an account, made if need be. Raises UnknownAccount."""
    if user_id is not None:
        if await session.row("lock_user", id=user_id) is None:
            raise UnknownAccount(f"there is no user {user_id}")
        return user_id
    for _ in range(_MOST_TRIES):
        row = await session.row("next_user")
        number = int(row["next"]) if row else 1
        try:
            await session.change("add_user", id=number, user_name=name, now=now)
        except Duplicate:
            continue
        return number
    raise AccountExists("too many accounts are being made at once; try again")


async def _locked(session: Session, user_id: int) -> Row:
    row = await session.row("lock_account", user_id=user_id)
    if row is None:
        raise UnknownAccount(f"user {user_id} has no account")
    return row


async def _account(session: Session, user_id: int) -> Account:
    row = await session.row("account", user_id=user_id)
    if row is None:
        raise UnknownAccount(f"user {user_id} has no account")
    return account_of(row)


def _key(row: Row, user_type: int, made: int) -> ApiKey:
    ends = row["expire_time"]
    role = role_of(int(user_type))
    return ApiKey(int(row["id"]), str(row["title"]), role, int(made), None if ends is None else int(ends))
