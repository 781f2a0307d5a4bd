"""Everything of the API that is about who calls, over its parts: accounts, sessions, keys, and the door."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api.adapters.access_tokens import JwtTokens
from daemons.api.adapters.oidc_provider import HttpProvider
from daemons.api.adapters.passwords import Argon2Passwords, Hardness
from daemons.api.adapters.sql.accounts import SqlAccounts, SqlApiKeys
from daemons.api.adapters.sql.identities import SqlIdentities
from daemons.api.adapters.sql.login_failures import SqlLoginFailures
from daemons.api.adapters.sql.sessions import SqlSessions
from daemons.api.domain.accounts import AccountExists, BeyondRole, Lives, NotLoggedIn, UnknownAccount, WeakPassword
from daemons.api.domain.identities import ALGORITHMS, NotInvited, Provider
from daemons.api.domain.rates import LoginRates, Rate, TooOften
from daemons.api.http.accounts import AccountRoutes, ApiKeyRoutes
from daemons.api.http.doors import Doors, Gates, People
from daemons.api.http.identities import IdentityRoutes
from daemons.api.http.sessions import SessionRoutes
from daemons.api.ports.accounts import ApiKeyLimit, LoginOff, TooManyLogins
from daemons.api.ports.identities import ProviderFailed
from daemons.api.services.accounts import Accounts, ApiKeys
from daemons.api.services.identities import Identities
from daemons.api.services.limits import Limits
from daemons.api.services.rights import AccountRights
from daemons.api.services.sessions import Sessions
from daemons.api.services.watch import Watch
from daemons.api.settings import ApiSettings
from daemons.kit.auth import Access
from daemons.kit.clock import Clock
from daemons.kit.problems import Problems
from daemons.kit.settings import Misconfigured, revealed
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
    NotInvited: (403, ErrorReason.FORBIDDEN),
    ProviderFailed: (502, ErrorReason.PEER_FAILED),
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
    provider: Provider | None = None
    provider_secret: str = field(default="", repr=False)
    provider_keys_seconds: float = 30.0


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
        provider=provider_of(settings),
        provider_secret=settings.oidc_client_secret.get_secret_value(),
    )


def provider_of(settings: ApiSettings) -> Provider | None:
    """Whose logins count besides our own. Raises Misconfigured."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id or not settings.oidc_redirect_url:
        raise Misconfigured("API_OIDC_ISSUER is set: API_OIDC_CLIENT_ID and API_OIDC_REDIRECT_URL must be, too")
    if not settings.jwt_secrets:
        raise Misconfigured("API_OIDC_ISSUER is set: API_JWT_SECRET must be, too, or nobody can log in")
    if (settings.oidc_operators or settings.oidc_admins) and not settings.oidc_role_claim:
        raise Misconfigured("API_OIDC_OPERATOR_VALUES and API_OIDC_ADMIN_VALUES are values of API_OIDC_ROLE_CLAIM")
    algorithms = frozenset(settings.oidc_algorithms)
    if not algorithms or not algorithms <= ALGORITHMS:
        raise Misconfigured(f"API_OIDC_ALGORITHMS must be some of {', '.join(sorted(ALGORITHMS))}")
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        redirect_url=settings.oidc_redirect_url,
        scopes=tuple(dict.fromkeys(("openid", *settings.oidc_scopes))),
        algorithms=algorithms,
        creates=settings.oidc_creates,
        role_claim=settings.oidc_role_claim or None,
        operators=frozenset(settings.oidc_operators),
        admins=frozenset(settings.oidc_admins),
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
        self._provider = _known(parts)
        named = SqlIdentities(database)
        self.identities = Identities(self._provider, named, store, passwords, self.sessions, parts.logins.address)
        rights = AccountRights(self.sessions, self.accounts, self.keys)
        self.watch = Watch(rights, parts.recheck_seconds, parts.lives.access)

    def doors(self, access: Access, gates: Gates) -> Doors:
        """The door of all routes."""
        limits = Limits("you ask for too much at once", self._dear)
        return Doors(access, gates, People(self.sessions, self.accounts, self.keys), limits, self.watch)

    def loops(self) -> Sequence[Loop]:
        """What is to be done as long as the API runs."""

        async def forget() -> None:
            await every(_FORGET_SECONDS, self._tidy, expected=(DatabaseUnavailable,))

        return forget, self.watch.run

    async def _tidy(self) -> None:
        await self.sessions.tidy()
        await self.identities.tidy()

    async def close(self, _app: web.Application) -> None:
        """No password is hashed any more."""
        await self._passwords.close()
        if self._provider is not None:
            await self._provider[1].close()

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        mine = SessionRoutes(self.sessions), IdentityRoutes(self.identities)
        routes = *mine, ApiKeyRoutes(self.keys), AccountRoutes(self.accounts)
        return [route for each in routes for route in each.table()]


def _known(parts: AccountParts) -> tuple[Provider, HttpProvider] | None:
    if parts.provider is None:
        return None
    return parts.provider, HttpProvider(parts.provider, parts.provider_secret, parts.provider_keys_seconds)
