"""Whether what somebody was let in by still lets them in."""

from daemons.api.domain.access import Proof
from daemons.api.domain.accounts import NotLoggedIn
from daemons.api.services.accounts import Accounts, ApiKeys
from daemons.api.services.sessions import Sessions


class AccountRights:
    """`Rights` by sessions, keys and accounts."""

    def __init__(self, sessions: Sessions, accounts: Accounts, keys: ApiKeys) -> None:
        self._sessions = sessions
        self._accounts = accounts
        self._keys = keys

    async def last(self, proof: Proof) -> bool:
        """An access token may expire meanwhile: what counts is its session. Raises DatabaseUnavailable."""
        try:
            if proof.session_id is not None:
                await self._sessions.lasting(proof.session_id, proof.user_id, proof.role)
                return True
            if proof.key is not None:
                account, role = await self._keys.holder_of(proof.key)
                return (account.user_id, role) == (proof.user_id, proof.role)
            await self._accounts.check_enabled(proof.user_id)
        except NotLoggedIn:
            return False
        return True
