"""Keys that are lent are deploy keys on Gitea, which knows of no times: each is called by when it is over."""

from collections.abc import Sequence
from typing import Final

from daemons.api.adapters.gitea_calls import GiteaCalls, list_of, repo_path, words_of
from daemons.api.domain.loans import Loan, expiry, title
from daemons.api.ports.repositories import RepositoryTrouble
from protocol.client.transport import Transport

_NO_REPOSITORY: Final = "Gitea has no repository {}; the app's repoStatus says whether it is being set up"


class GiteaKeys:
    """The port `LentKeys`."""

    def __init__(self, transport: Transport) -> None:
        self._calls = GiteaCalls(transport)

    async def admit(self, loan: Loan, public_key: str) -> None:
        """Raises RepositoryTrouble."""
        called = title(loan.fingerprint, loan.expires_at)
        wanted = {"title": called, "key": public_key, "read_only": False}
        answer = await self._calls.call("POST", _keys(loan.repository), wanted, expected=(201, 404, 422))
        if answer.status_code == 404:
            raise RepositoryTrouble(_NO_REPOSITORY.format(loan.repository))
        # 422: another call let it in, or Gitea does not take it.
        if answer.status_code == 422 and not await self._ids(loan):
            raise RepositoryTrouble(f"Gitea does not take the key: {words_of(answer)}")

    async def expel(self, loan: Loan) -> None:
        """Raises RepositoryTrouble."""
        for number in await self._ids(loan):
            await self._remove(loan.repository, number)

    async def sweep(self, repositories: Sequence[str], now: int) -> int:
        """Raises RepositoryTrouble."""
        count = 0
        for repository in repositories:
            for key in await self._calls.listed(_keys(repository)):
                until = expiry(str(key.get("title")))
                if until is not None and until <= now:
                    await self._remove(repository, int(key["id"]))
                    count += 1
        return count

    async def _ids(self, loan: Loan) -> Sequence[int]:
        path = _keys(loan.repository)
        answer = await self._calls.call("GET", path, query={"fingerprint": loan.fingerprint}, expected=(200, 404))
        # Compared once more: who does not know the question lists all.
        return [int(key["id"]) for key in list_of(path, answer) if key.get("fingerprint") == loan.fingerprint]

    async def _remove(self, repository: str, number: int) -> None:
        await self._calls.call("DELETE", f"{_keys(repository)}/{number}", expected=(204, 404))


def _keys(repository: str) -> str:
    return f"{repo_path(repository)}/keys"
