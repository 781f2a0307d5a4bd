"""Keys for git that a workspace node borrows from the API entry; the transport shows the node's own token."""

from typing import Final

from protocol.client.transport import Transport
from protocol.git_loans import (
    LEND_PATH,
    RETURN_ALL_PATH,
    RETURN_PATH,
    GitKeyLent,
    GitKeysReturned,
    LendGitKey,
    ReturnGitKey,
    ReturnGitKeys,
)

#: Longer than the API waits for its git server.
_LEND_SECONDS: Final = 20.0
_RETURN_SECONDS: Final = 40.0


class GitLoansClient:
    """Every method raises ClientError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def lend(self, order: LendGitKey) -> GitKeyLent:
        """Let the key in."""
        return await self._transport.call("POST", LEND_PATH, GitKeyLent, body=order, seconds=_LEND_SECONDS)

    async def give_back(self, fingerprint: str) -> GitKeysReturned:
        """Let the key open nothing any more."""
        order = ReturnGitKey(fingerprint=fingerprint)
        return await self._transport.call("POST", RETURN_PATH, GitKeysReturned, body=order, seconds=_RETURN_SECONDS)

    async def give_back_all(self, user_id: str, app_id: str) -> GitKeysReturned:
        """Let none of the app's keys open anything any more."""
        order = ReturnGitKeys(user_id=user_id, app_id=app_id)
        return await self._transport.call("POST", RETURN_ALL_PATH, GitKeysReturned, body=order, seconds=_RETURN_SECONDS)
