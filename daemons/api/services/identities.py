"""Logins by another provider: a browser is sent there, and its answer is a session here."""

import logging
import secrets
from typing import Final

from daemons.api.domain.accounts import Account, NotLoggedIn
from daemons.api.domain.identities import Attempt, Identity, NotInvited, Provider, identity_of, question, role_of_claims
from daemons.api.domain.rates import Rate, origin
from daemons.api.ports.accounts import AccountStore, LoginOff, Passwords
from daemons.api.ports.identities import IdentityStore, ProviderOfLogins
from daemons.api.services.limits import Limits
from daemons.api.services.sessions import Granted, Sessions

logger = logging.getLogger(__name__)

#: How long somebody may take at the provider.
ATTEMPT_SECONDS: Final = 600
_UNKNOWN: Final = "this login was not begun in this browser, was used already or took too long; begin again"


class Identities:
    """Begin and finish logins, and say whose account an identity is."""

    def __init__(
        self,
        provider: tuple[Provider, ProviderOfLogins] | None,
        store: IdentityStore,
        accounts: AccountStore,
        passwords: Passwords,
        sessions: Sessions,
        address_rate: Rate,
    ) -> None:
        self._provider = provider
        self._store = store
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._attempts = Limits("too many logins from your address", address_rate)

    async def begin(self, address: str) -> tuple[str, str]:
        """Where the browser is to go, and what it is to keep until it comes back. Raises LoginOff, TooOften,
        ProviderFailed."""
        rules, provider = self._on()
        self._sessions.require()
        self._attempts.take(origin(address))
        attempt = Attempt(*(secrets.token_urlsafe(32) for _ in range(4)))
        endpoint = await provider.endpoint()
        await self._store.note(attempt, ATTEMPT_SECONDS)
        return question(rules, endpoint, attempt), attempt.browser

    async def finish(self, state: str, browser: str, code: str | None, address: str) -> Granted:
        """A session for who the provider says it is; without a code it refused. Raises LoginOff, NotLoggedIn,
        NotInvited, ProviderFailed."""
        rules, provider = self._on()
        attempt = await self._store.take(state, browser)
        if attempt is None:
            raise NotLoggedIn(_UNKNOWN)
        if code is None:
            raise NotLoggedIn("the provider did not log you in; begin again, or ask who looks after it")
        claims = await provider.claims(code, attempt.verifier)
        identity = identity_of(rules, claims, attempt.nonce)
        account, password_hash = await self._account(rules, identity)
        role = role_of_claims(rules, claims)
        if role is not None and role is not account.role:
            logger.info("a provider gave another role", extra={"user_id": account.user_id, "role": role.value})
            account = await self._accounts.set_role(account.user_id, role)
        return await self._sessions.admitted(account, password_hash, address)

    async def link(self, subject: str, user_id: int) -> Account:
        """Who the provider calls so logs in to this account. Raises LoginOff, UnknownAccount, AccountExists."""
        rules, _ = self._on()
        account = await self._store.link(Identity(rules.issuer, subject), user_id)
        logger.info("an account was linked to a provider", extra={"user_id": user_id})
        return account

    async def tidy(self) -> None:
        """Forget logins that were not finished."""
        await self._store.tidy()

    async def _account(self, rules: Provider, identity: Identity) -> tuple[Account, str]:
        found = await self._store.account(identity)
        if found is not None:
            return found
        if not rules.creates:
            raise NotInvited(
                "the provider knows you, and you have no account here; an admin links one to you with "
                "POST /api/fun-ai/admin/users/link"
            )
        # Nobody knows its password, so that only the provider opens it until an admin sets one.
        made = await self._store.create(identity, await self._passwords.hash(secrets.token_urlsafe(32)))
        logger.info("a provider's user has an account now", extra={"user_id": made[0].user_id})
        return made

    def _on(self) -> tuple[Provider, ProviderOfLogins]:
        if self._provider is None:
            raise LoginOff("logins by another provider are off here; operators set API_OIDC_ISSUER")
        return self._provider
