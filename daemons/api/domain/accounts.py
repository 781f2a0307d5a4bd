"""Accounts and their sessions: what a password must be, how long what lives, and what is refused."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.accounts import Role

#: As the column `user_type` has it; 0 and 1 mean what they always did.
_TYPES: Final[Mapping[Role, int]] = {Role.USER: 0, Role.ADMIN: 1, Role.OPERATOR: 2}
_ROLES: Final = {number: role for role, number in _TYPES.items()}

LEAST_PASSWORD_CHARACTERS: Final = 12
MOST_PASSWORD_CHARACTERS: Final = 256


class NotLoggedIn(Exception):
    """The credentials are not valid; nothing says which part of them."""


class WeakPassword(Exception):
    """It is not to be somebody's password."""


class AccountExists(Exception):
    """The name, or the user's account, is there already."""


class UnknownAccount(Exception):
    """There is no such account."""


class BeyondRole(Exception):
    """Nobody gives away more than they have."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in; times in epoch milliseconds, `logged_in_at` None: never."""

    user_id: int
    name: str
    role: Role
    enabled: bool
    created_at: int
    logged_in_at: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in, on one device: whose it is and when it ends at the latest, in epoch milliseconds.
    `refresh_ms` is for how long its new refresh token is good, where there is one."""

    id: str
    account: Account
    expires_at: int
    refresh_ms: int = 0


@dataclass(frozen=True, slots=True)
class Lives:
    """How long, in seconds: an access token; a refresh token that nobody uses; a session whatever is used."""

    access: int = 900
    idle: int = 7 * 24 * 3600
    session: int = 30 * 24 * 3600

    def refresh_until(self, now: int, session_ends: int) -> int:
        """When a refresh token ends that is made now; all in epoch milliseconds."""
        return min(now + self.idle * 1000, session_ends)


def role_of(user_type: int) -> Role:
    """The role that a row's `user_type` stands for; a number that nobody knows gives no rights over others."""
    return _ROLES.get(user_type, Role.USER)


def type_of(role: Role) -> int:
    """The row's `user_type`."""
    return _TYPES[role]


def normal(password: str) -> str:
    """The same text whatever keyboard wrote it (NFKC, as NIST SP 800-63B advises)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> str:
    """The password as it is to be hashed. Raises WeakPassword."""
    text = normal(password)
    if not LEAST_PASSWORD_CHARACTERS <= len(text) <= MOST_PASSWORD_CHARACTERS:
        raise WeakPassword(f"a password must have {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS} characters")
    if len(set(text)) < 5 or (name.casefold() in text.casefold() and len(text) < len(name) + 8):
        raise WeakPassword("a password must not be the user's name or a few characters again and again")
    return text
