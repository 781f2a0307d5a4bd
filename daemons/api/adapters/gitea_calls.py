"""Calls of Gitea's HTTP API (`/api/v1`, as of Gitea 1.20 and later), and what is said when one fails."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
import orjson

from daemons.api.ports.repositories import RepositoryTrouble
from protocol.client.transport import ClientError, Transport
from protocol.headers import AUTHORIZATION

CONNECT_SECONDS: Final = 2.0
CALL_SECONDS: Final = 10.0
_PAGE: Final = 50
_MOST_PAGES: Final = 40
_MOST_WORDS: Final = 300


def gitea_transport(base_url: str, token: str) -> Transport:
    """A session that shows the administrator's token."""
    proof = {AUTHORIZATION: f"token {token}", "Accept": "application/json"}
    return Transport(base_url, proof, timeout=CALL_SECONDS, connect=CONNECT_SECONDS)


class GiteaCalls:
    """One account's calls. Every method raises RepositoryTrouble."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def listed(self, path: str) -> Sequence[Mapping[str, Any]]:
        """All pages; an organization or a repository that there is not has nothing."""
        found: list[Mapping[str, Any]] = []
        for page in range(1, _MOST_PAGES + 1):
            query = {"page": page, "limit": _PAGE}
            answer = await self.call("GET", path, query=query, expected=(200, 404))
            items = list_of(path, answer)
            found += items
            if not items:
                break
        return found

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        expected: Sequence[int],
        query: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """An answer with one of the statuses that are expected."""
        headers = {"Content-Type": "application/json"} if body is not None else None
        content = orjson.dumps(body) if body is not None else None
        try:
            answer = await self._transport.send(method, path, content=content, query=query, headers=headers)
        except ClientError as error:
            raise RepositoryTrouble(f"Gitea cannot be asked: {error}; operators: GITEA_BASE_URL") from error
        if answer.status_code in expected:
            return answer
        raise RepositoryTrouble(_refusal(method, path, answer))


def repo_path(repository: str) -> str:
    """Where a repository is in the API."""
    return f"/api/v1/repos/{repository}"


def list_of(path: str, answer: httpx.Response) -> Sequence[Mapping[str, Any]]:
    """What is in a list; what there is not has nothing. Raises RepositoryTrouble."""
    items = _parsed(answer) if answer.status_code == 200 else []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RepositoryTrouble(f"Gitea answers GET {path} with something else than a list")
    return items


def document(answer: httpx.Response) -> Mapping[str, Any]:
    """What an answer says. Raises RepositoryTrouble."""
    found = _parsed(answer)
    if not isinstance(found, dict):
        raise RepositoryTrouble("Gitea answers with something else than an object; operators: GITEA_BASE_URL")
    return found


def words_of(answer: httpx.Response) -> str:
    """Why Gitea says no, if it says that."""
    try:
        return str(document(answer).get("message", ""))[:_MOST_WORDS]
    except RepositoryTrouble:
        return ""


def _refusal(method: str, path: str, answer: httpx.Response) -> str:
    said = f"Gitea answers {method} {path} with {answer.status_code}"
    if answer.status_code in (401, 403):
        return f"{said}; operators: GITEA_ADMIN_TOKEN must be of an account that owns the organization"
    words = words_of(answer)
    return f"{said}: {words}" if words else said


def _parsed(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises RepositoryTrouble."""
    try:
        return orjson.loads(answer.content)
    except ValueError:
        raise RepositoryTrouble("Gitea answers with something else than JSON; operators: GITEA_BASE_URL") from None
