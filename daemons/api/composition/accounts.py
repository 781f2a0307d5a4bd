"""Everything of the API that is about who calls, over its parts: accounts, sessions, keys, and the door."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api.adapters.access_tokens import JwtTokens
from daemons.api.adapters.passwords import Argon2Passwords, Hardness
from daemons.api.adapters.sql.accounts import SqlAccounts, SqlApiKeys
from daemons.api.adapters.sql.login_failures import SqlLoginFailures
from daemons.api.adapters.sql.sessions import SqlSessions
from daemons.api.domain.accounts import AccountExists, BeyondRole, Lives, NotLoggedIn, UnknownAccount, WeakPassword
from daemons.api.domain.rates import LoginRates, Rate, TooOften
from daemons.api.http.accounts import AccountRoutes, ApiKeyRoutes
from daemons.api.http.doors import Doors, Gates, People
from daemons.api.http.sessions import SessionRoutes
from daemons.api.ports.accounts import ApiKeyLimit, LoginOff, TooManyLogins
from daemons.api.services.accounts import Accounts, ApiKeys
from daemons.api.services.limits import Limits
from daemons.api.services.rights import AccountRights
from daemons.api.services.sessions import Sessions
from daemons.api.services.watch import Watch
from daemons.api.settings import ApiSettings
from daemons.kit.auth import Access
from daemons.kit.clock import Clock
from daemons.kit.problems import Problems
from daemons.kit.settings import revealed
from daemons.kit.sql import Database, DatabaseUnavailable
from daemons.kit.tasks import Loop, every
from protocol.errors import ErrorReason

_FORGET_SECONDS: Final = 600.0

ACCOUNT_PROBLEMS: Final[Problems] = {
    WeakPassword: (400, ErrorReason.INVALID_REQUEST),
    NotLoggedIn: (401, ErrorReason.UNAUTHORIZED),
    BeyondRole: (403, ErrorReason.FORBIDDEN),
    UnknownAccount: (404, ErrorReason.NOT_FOUND),
    AccountExists: (409, ErrorReason.ALREADY_EXISTS),
    ApiKeyLimit: (409, ErrorReason.ALREADY_EXISTS),
    TooOften: (429, ErrorReason.RATE_LIMITED),
    TooManyLogins: (503, ErrorReason.UNAVAILABLE),
    LoginOff: (503, ErrorReason.UNAVAILABLE),
}


@dataclass(frozen=True, slots=True)
class AccountParts:
    """How accounts are kept; without secrets for tokens nobody can log in. `dear` is how often somebody may make
    expensive calls, `recheck_seconds` how often is asked whether somebody may go on who holds a line open."""

    jwt_secrets: Sequence[str] = field(default=(), repr=False)
    issuer: str = "fun-ai-studio"
    hardness: Hardness = field(default_factory=Hardness)
    lives: Lives = field(default_factory=Lives)
    logins: LoginRates = field(default_factory=LoginRates)
    dear: Rate = field(default_factory=lambda: Rate(120, 60))
    origins: Sequence[str] = ()
    recheck_seconds: float = 5.0


def account_parts(settings: ApiSettings) -> AccountParts:
    """How accounts are kept, as the settings say."""
    return AccountParts(
        jwt_secrets=revealed(settings.jwt_secrets),
        issuer=settings.jwt_issuer,
        hardness=Hardness(
            settings.password_memory_kib,
            settings.password_passes,
            settings.password_lanes,
            settings.password_hashes_at_once,
        ),
        lives=Lives(settings.access_seconds, settings.refresh_idle_seconds, settings.session_seconds),
        logins=LoginRates(
            Rate(settings.login_failures, settings.login_failures_per_minute),
            Rate(settings.logins_of_address, settings.logins_of_address_per_minute),
        ),
        dear=Rate(settings.expensive_calls, settings.expensive_calls_per_minute),
        origins=settings.cors_origins,
        recheck_seconds=settings.recheck_seconds,
    )


class AccountsOfApi:
    """The services about accounts, and what is to be done with them while the API runs."""

    def __init__(self, database: Database, parts: AccountParts, clock: Clock) -> None:
        store = SqlAccounts(database)
        passwords = Argon2Passwords(parts.hardness)
        self._dear = parts.dear
        self._passwords = passwords
        tokens = JwtTokens(parts.jwt_secrets, parts.issuer, clock)
        self.accounts, self.keys = Accounts(store, passwords), ApiKeys(SqlApiKeys(database))
        live, failures = SqlSessions(database), SqlLoginFailures(database, parts.logins.account)
        self.sessions = Sessions(store, live, failures, passwords, tokens, parts.lives, parts.logins.address)
        rights = AccountRights(self.sessions, self.accounts, self.keys)
        self.watch = Watch(rights, parts.recheck_seconds, parts.lives.access)

    def doors(self, access: Access, gates: Gates) -> Doors:
        """The door of all routes."""
        limits = Limits("you ask for too much at once", self._dear)
        return Doors(access, gates, People(self.sessions, self.accounts, self.keys), limits, self.watch)

    def loops(self) -> Sequence[Loop]:
        """What is to be done as long as the API runs."""

        async def forget() -> None:
            await every(_FORGET_SECONDS, self.sessions.tidy, expected=(DatabaseUnavailable,))

        return forget, self.watch.run

    async def close(self, _app: web.Application) -> None:
        """No password is hashed any more."""
        await self._passwords.close()

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        routes = SessionRoutes(self.sessions), ApiKeyRoutes(self.keys), AccountRoutes(self.accounts)
        return [route for each in routes for route in each.table()]
