"""Who is logged in: a password for a session, a session's refresh token for the next one, a token for its session."""

import hashlib
import logging
import secrets
from dataclasses import dataclass, field
from typing import Final

from daemons.api.domain.accounts import Account, Lives, NotLoggedIn, Session, check_password, normal
from daemons.api.domain.rates import Rate, TooOften, origin
from daemons.api.ports.accounts import AccessTokens, AccountStore, LoginFailures, Match, Passwords, SessionStore
from daemons.api.services.limits import Limits
from protocol.accounts import Role

logger = logging.getLogger(__name__)

_WRONG: Final = "the name or the password is wrong"
_NOT_VALID: Final = "the refresh token is not valid; log in again"
_PREFIX: Final = "fur_"


@dataclass(frozen=True, slots=True)
class Granted:
    """A session with fresh tokens; lives in seconds."""

    session: Session
    access: str = field(repr=False)
    access_seconds: int
    refresh: str = field(repr=False)
    refresh_seconds: int


class Sessions:
    """Begin, go on, end."""

    def __init__(
        self,
        accounts: AccountStore,
        sessions: SessionStore,
        failures: LoginFailures,
        passwords: Passwords,
        tokens: AccessTokens,
        lives: Lives,
        address_rate: Rate,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._tokens = tokens
        self._lives = lives
        self._failures = failures
        self._attempts = Limits("too many logins from your address", address_rate)

    async def login(self, name: str, password: str, address: str) -> Granted:
        """A new session. Raises NotLoggedIn, TooOften, TooManyLogins, LoginOff."""
        self._tokens.require()
        self._attempts.take(origin(address))
        account, password_hash = await self._proven(name.lower(), password, address)
        session_id, token = secrets.token_urlsafe(16), _fresh()
        try:
            session = await self._sessions.begin(account, password_hash, session_id, digest(token), self._lives)
        except NotLoggedIn:
            raise NotLoggedIn(_WRONG) from None
        logger.info("somebody logged in", extra={"user_id": account.user_id, "source_address": address})
        return self._granted(session, token)

    async def refresh(self, token: str) -> Granted:
        """The session goes on; the token shown is spent. Raises NotLoggedIn, LoginOff."""
        self._tokens.require()
        following = _fresh()
        session = await self._sessions.rotate(digest(token), digest(following), self._lives)
        if session is None:
            raise NotLoggedIn(_NOT_VALID)
        return self._granted(session, following)

    async def logout(self, session: Session, *, everywhere: bool) -> None:
        """This session is over, or all of the account's are."""
        if everywhere:
            await self._sessions.end_all(session.account.user_id)
        else:
            await self._sessions.end(session.id)

    async def change_password(self, session: Session, current: str, new: str, address: str) -> None:
        """Every other session of the account ends. Raises NotLoggedIn, WeakPassword, TooOften, TooManyLogins."""
        account, was = await self._proven(session.account.name, current, address)
        fresh = await self._passwords.hash(check_password(new, account.name))
        await self._accounts.set_password(account.user_id, fresh, was=was, keep=session.id)
        logger.info("a password was changed", extra={"user_id": account.user_id, "source_address": address})

    async def of_token(self, token: str) -> Session:
        """Whose access token this is, as long as the session lasts, the account is enabled and its role is the token's.
        Raises NotLoggedIn."""
        claims = self._tokens.read(token)
        return await self.lasting(claims.session_id, claims.user_id, claims.role)

    async def lasting(self, session_id: str, user_id: int, role: Role) -> Session:
        """The session, as long as it is that user's and the account is enabled with that role. Raises NotLoggedIn."""
        session = await self._sessions.session(session_id)
        if session is None or not session.account.enabled or session.account.user_id != user_id:
            raise NotLoggedIn("the session is over; log in again")
        if session.account.role is not role:
            raise NotLoggedIn("the account's role has changed; refresh the access token")
        return session

    async def tidy(self) -> None:
        """Forget sessions that have ended, and failures that are long ago."""
        await self._sessions.tidy()
        await self._failures.tidy()

    async def _proven(self, name: str, password: str, address: str) -> tuple[Account, str]:
        """The account whose password this is, with its hash. One that does not exist is looked for as long."""
        # Counted before it is checked: of many at once no more are tried than of many one after the other.
        if wait := await self._failures.take(digest(name)):
            raise TooOften("too many wrong passwords for this account", wait)
        found = await self._accounts.named(name)
        match = await self._passwords.check(found[1] if found else None, normal(password))
        if found is None or match is Match.NO or not found[0].enabled:
            logger.info("a login failed", extra={"source_address": address, "known": found is not None})
            raise NotLoggedIn(_WRONG)
        await self._failures.give_back(digest(name))
        account, password_hash = found
        if match is Match.STALE:
            fresh = await self._passwords.hash(normal(password))
            await self._accounts.rehash(account.user_id, fresh, password_hash)
            return account, fresh
        return account, password_hash

    def _granted(self, session: Session, token: str) -> Granted:
        access = self._tokens.issue(session, self._lives.access)
        return Granted(session, access, self._lives.access, token, session.refresh_ms // 1000)


def digest(token: str) -> str:
    """What is kept of a token that is all chance: one pass of SHA-256 is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _fresh() -> str:
    return _PREFIX + secrets.token_urlsafe(32)
