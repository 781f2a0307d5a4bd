"""What logins by another provider need from the outside: the provider, and tables."""

from collections.abc import Mapping
from typing import Any, Protocol

from daemons.api.domain.accounts import Account
from daemons.api.domain.identities import Attempt, Identity


class ProviderFailed(Exception):
    """The provider does not answer, or not as providers do; nobody was logged in."""


class ProviderOfLogins(Protocol):
    """The one provider. Both raise ProviderFailed."""

    async def endpoint(self) -> str:
        """Where browsers are sent."""
        ...

    async def claims(self, code: str, verifier: str) -> Mapping[str, Any]:
        """What the provider says of who brought the code: signature, issuer, audience and times are checked. Raises
        NotLoggedIn for a code that it does not take, and for a token that is not its own."""
        ...


class IdentityStore(Protocol):
    """Tables `fun_ai_identity` and `fun_ai_identity_attempt`; what is secret is kept as a hash, if it need not be said
    again."""

    async def note(self, attempt: Attempt, seconds: int) -> None:
        """A login was begun; its answer is waited for so long."""
        ...

    async def take(self, state: str, browser: str) -> Attempt | None:
        """The login of that state, if that browser began it: once, and not too late."""
        ...

    async def account(self, identity: Identity) -> tuple[Account, str] | None:
        """The account of an identity, and the hash of its password."""
        ...

    async def create(self, identity: Identity, password_hash: str) -> tuple[Account, str]:
        """A new user with an account; one that was made meanwhile is answered instead."""
        ...

    async def link(self, identity: Identity, user_id: int) -> Account:
        """The account is the identity's too. Raises UnknownAccount, AccountExists when the identity has another."""
        ...

    async def tidy(self) -> int:
        """Forget logins that were not finished; how many."""
        ...
