"""Keys that the API lends: it lets them in at its git server, whichever that is, for what this node's users have there.

The node holds nothing that opens a repository: only the pair that it made, for as long as the API lets it in.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.workspace.adapters.repository_keys import GitServer, known_hosts, new_key
from daemons.workspace.ports.git import KeysUnavailable, Loan
from protocol.client.git_loans import GitLoansClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.git_loans import LendGitKey

logger = logging.getLogger(__name__)

_NOT_LENT: Final = "no key for the git server can be borrowed from the API: {}"
_ELSEWHERE: Final = (
    "the API knows the app's repository as {}, this node as {}; operators: FUNAI_WORKSPACE_GIT_REPO_OWNER and "
    "FUNAI_WORKSPACE_GIT_REPO_NAME_TEMPLATE must say what DEPLOY_GIT_REPO_OWNER and DEPLOY_GIT_REPO_NAME_TEMPLATE do"
)


class BorrowedKeys:
    """The port `RepositoryKeys`, over calls of the API."""

    def __init__(self, server: GitServer, known_hosts: Path, transport: Transport) -> None:
        self._server = server
        self._known_hosts = known_hosts
        self._api = GitLoansClient(transport)

    def url(self, user_id: str, app_id: str) -> str:
        """The address of an app's repository."""
        return self._server.url(user_id, app_id)

    @asynccontextmanager
    async def lent(self, user_id: str, app_id: str, seconds: float) -> AsyncIterator[Loan]:
        """Entering it raises KeysUnavailable."""
        hosts = await known_hosts(self._known_hosts)
        key = new_key()
        lent = await self._lent(user_id, app_id, key.public, seconds)
        try:
            expected = self._server.repository(user_id, app_id)
            if lent != expected:
                raise KeysUnavailable(_ELSEWHERE.format(lent, expected))
            yield Loan(self.url(user_id, app_id), self._server.known_as, hosts, key.private)
        finally:
            await self._give_back(key.fingerprint)

    async def take_back(self, user_id: str, app_id: str) -> int:
        """None of the app's keys opens anything any more; how many there were. Raises KeysUnavailable."""
        try:
            return (await self._api.give_back_all(user_id, app_id)).keys
        except ClientError as error:
            raise KeysUnavailable(_NOT_LENT.format(error)) from error

    async def sweep(self) -> None:
        """The API does that, which knows what it lent."""

    async def _lent(self, user_id: str, app_id: str, public: str, seconds: float) -> str:
        """The repository that the key opens. Raises KeysUnavailable."""
        try:
            order = LendGitKey(user_id=user_id, app_id=app_id, public_key=public, seconds=seconds)
            return (await self._api.lend(order)).repository
        except (ClientError, ValidationError) as error:
            raise KeysUnavailable(_NOT_LENT.format(error)) from error

    async def _give_back(self, fingerprint: str) -> None:
        """What cannot be given back ends by its time; what was done with the key was done."""
        try:
            await self._api.give_back(fingerprint)
        except Refused as error:
            logger.warning("the API takes a key back later", extra={"fingerprint": fingerprint, "error": str(error)})
        except ClientError as error:
            logger.warning("a key ends by its time alone", extra={"fingerprint": fingerprint, "error": str(error)})
