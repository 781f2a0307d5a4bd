"""Accounts as admins make and change them, and the API keys that people make for their programs."""

import logging
import secrets
from collections.abc import Sequence
from typing import Final

from daemons.api.domain.access import NotFound
from daemons.api.domain.accounts import Account, BeyondRole, NotLoggedIn, UnknownAccount, check_password
from daemons.api.ports.accounts import AccountStore, ApiKey, ApiKeyStore, Passwords
from daemons.api.services.sessions import digest
from protocol.accounts import Role
from protocol.headers import API_KEY_PREFIX

logger = logging.getLogger(__name__)

_MOST_KEYS: Final = 20


class Accounts:
    """Make, list, change."""

    def __init__(self, accounts: AccountStore, passwords: Passwords) -> None:
        self._accounts = accounts
        self._passwords = passwords

    async def create(self, name: str, password: str, role: Role, user_id: int | None) -> Account:
        """Raises WeakPassword, AccountExists, UnknownAccount, TooManyLogins."""
        password_hash = await self._passwords.hash(check_password(password, name))
        account = await self._accounts.add(name, password_hash, role, user_id)
        logger.info("an account was made", extra={"user_id": account.user_id, "role": role.value})
        return account

    async def page(self, offset: int, most: int) -> Sequence[Account]:
        """Some of them."""
        return await self._accounts.page(offset, most)

    async def enable(self, user_id: int, *, enabled: bool) -> Account:
        """Raises UnknownAccount."""
        account = await self._accounts.enable(user_id, enabled=enabled)
        logger.info("an account was switched", extra={"user_id": user_id, "enabled": enabled})
        return account

    async def set_role(self, user_id: int, role: Role) -> Account:
        """Raises UnknownAccount."""
        account = await self._accounts.set_role(user_id, role)
        logger.info("an account has another role", extra={"user_id": user_id, "role": role.value})
        return account

    async def set_password(self, user_id: int, password: str) -> Account:
        """Raises UnknownAccount, WeakPassword, TooManyLogins."""
        account = await self._accounts.account(user_id)
        if account is None:
            raise UnknownAccount(f"user {user_id} has no account")
        password_hash = await self._passwords.hash(check_password(password, account.name))
        changed = await self._accounts.set_password(user_id, password_hash, was=None, keep=None)
        logger.info("an account's password was set", extra={"user_id": user_id})
        return changed

    async def check_enabled(self, user_id: int) -> None:
        """A user without an account may still have a token from the settings. Raises NotLoggedIn."""
        account = await self._accounts.account(user_id)
        if account is not None and not account.enabled:
            raise NotLoggedIn("the account is disabled")


class ApiKeys:
    """Make, list, take away, look up."""

    def __init__(self, keys: ApiKeyStore) -> None:
        self._keys = keys

    async def add(self, account: Account, title: str, role: Role, days: int | None) -> tuple[ApiKey, str]:
        """What is kept, and the key itself, which nobody sees again. Raises BeyondRole, ApiKeyLimit."""
        if not account.role.covers(role):
            raise BeyondRole(f"role: a key can be at most {account.role.value}, as you are")
        key = API_KEY_PREFIX + secrets.token_urlsafe(32)
        return await self._keys.add(account.user_id, title, role, digest(key), days, _MOST_KEYS), key

    async def of(self, account: Account) -> Sequence[ApiKey]:
        """The account's keys, oldest first."""
        return await self._keys.of_user(account.user_id)

    async def remove(self, account: Account, key_id: int) -> None:
        """It opens nothing from the answer on. Raises NotFound."""
        if not await self._keys.remove(account.user_id, key_id):
            raise NotFound(f"there is no API key {key_id}")

    async def holder(self, key: str) -> tuple[Account, Role]:
        """Whose key this is and what it may do: never more than its holder may by now. Raises NotLoggedIn."""
        return await self.holder_of(digest(key))

    async def holder_of(self, key_hash: str) -> tuple[Account, Role]:
        """The same by what is kept of the key. Raises NotLoggedIn."""
        found = await self._keys.holder(key_hash)
        if found is None or not found[0].enabled:
            raise NotLoggedIn("the API key is not valid")
        account, kept = found
        return account, kept.role if account.role.covers(kept.role) else account.role
