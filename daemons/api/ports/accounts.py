"""What accounts need from the outside: their tables, a hash for passwords, signed tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from daemons.api.domain.accounts import Account, Lives, Session
from protocol.accounts import Role


class LoginOff(Exception):
    """Nobody can log in here: there is nothing to sign tokens with."""


class TooManyLogins(Exception):
    """As many passwords are being checked as this machine can; nothing was checked."""


class ApiKeyLimit(Exception):
    """The account has as many API keys as it may."""


class Match(Enum):
    """What a password is to a hash; STALE fits, and the hash is weaker than those that are made now."""

    NO = auto()
    YES = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says."""

    user_id: int
    session_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept; times in epoch milliseconds, `expires_at` None: never."""

    id: int
    title: str
    role: Role
    created_at: int
    expires_at: int | None = None


class AccountStore(Protocol):
    """Table `fun_ai_account`. Disabling, and another role or password, ends the account's sessions at once."""

    async def add(self, name: str, password_hash: str, role: Role, user_id: int | None) -> Account:
        """Make one, for a new user or for one who is there. Raises AccountExists, UnknownAccount (no such user)."""
        ...

    async def account(self, user_id: int) -> Account | None:
        """One account."""
        ...

    async def named(self, name: str) -> tuple[Account, str] | None:
        """The account of a name, and the hash of its password."""
        ...

    async def page(self, offset: int, most: int) -> Sequence[Account]:
        """Some of them, by their ids."""
        ...

    async def enable(self, user_id: int, *, enabled: bool) -> Account:
        """Raises UnknownAccount."""
        ...

    async def set_role(self, user_id: int, role: Role) -> Account:
        """Raises UnknownAccount."""
        ...

    async def set_password(self, user_id: int, password_hash: str, *, was: str | None, keep: str | None) -> Account:
        """`was` is the hash that it must have been, `keep` the session that goes on. Raises UnknownAccount, NotLoggedIn
        when it is another by now."""
        ...

    async def rehash(self, user_id: int, password_hash: str, was: str) -> None:
        """The same password, hashed anew; nothing happens when it is another by now."""
        ...


class SessionStore(Protocol):
    """Tables `fun_ai_session` and `fun_ai_refresh_token`."""

    async def begin(self, account: Account, password_hash: str, session_id: str, token: str, lives: Lives) -> Session:
        """A session with its first refresh token, as a hash. Raises NotLoggedIn when the account is disabled, or its
        hash is another than was checked."""
        ...

    async def session(self, session_id: str) -> Session | None:
        """One that has not ended."""
        ...

    async def rotate(self, token: str, following: str, lives: Lives) -> Session | None:
        """Spend a refresh token for the next one, both as hashes; None for one that is not valid. One that was spent
        before ends its session: either its owner or a thief has shown it, and nobody knows who."""
        ...

    async def end(self, session_id: str) -> None:
        """It is over; repeating it is harmless."""
        ...

    async def end_all(self, user_id: int) -> None:
        """All of a user's are over."""
        ...

    async def tidy(self) -> int:
        """Forget some that have ended; how many."""
        ...


class LoginFailures(Protocol):
    """Table `fun_ai_login_failure`: how often wrong passwords came for a name, whoever has it, at all processes of the
    API together. Names are hashes."""

    async def take(self, name: str) -> float:
        """One more and 0, or how many seconds are to be waited before there may be one."""
        ...

    async def give_back(self, name: str) -> None:
        """The last one was none."""
        ...

    async def tidy(self) -> int:
        """Forget names that nothing is owed for; how many."""
        ...


class ApiKeyStore(Protocol):
    """Table `fun_ai_api_key`."""

    async def add(self, user_id: int, title: str, role: Role, key: str, days: int | None, most: int) -> ApiKey:
        """Keep a key's hash. Raises ApiKeyLimit."""
        ...

    async def of_user(self, user_id: int) -> Sequence[ApiKey]:
        """A user's keys, oldest first."""
        ...

    async def remove(self, user_id: int, key_id: int) -> bool:
        """Whether it was there."""
        ...

    async def holder(self, key: str) -> tuple[Account, ApiKey] | None:
        """Whose key has this hash; None for one that has ended."""
        ...


class Passwords(Protocol):
    """Hashes passwords, a few at once. All raise TooManyLogins."""

    async def hash(self, password: str) -> str:
        """A hash that says how it was made."""
        ...

    async def check(self, password_hash: str | None, password: str) -> Match:
        """Whether it fits; without a hash it does not, and that takes as long to say."""
        ...


class AccessTokens(Protocol):
    """Signs and reads short-lived tokens."""

    def require(self) -> None:
        """Raises LoginOff."""
        ...

    def issue(self, session: Session, seconds: int) -> str:
        """A token that is valid for so long. Raises LoginOff."""
        ...

    def read(self, token: str) -> Claims:
        """Raises NotLoggedIn."""
        ...
