"""Repositories on Gitea, by its HTTP API (`/api/v1`, as of Gitea 1.20 and later)."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

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


@dataclass(frozen=True, slots=True)
class Bot:
    """An account of the platform, let in by its team, or by itself where there is no such team."""

    team: str
    account: str
    permission: str


@dataclass(frozen=True, slots=True)
class GiteaPolicy:
    """How repositories are set up; without `webhook_url` pushes are not told."""

    default_branch: str = "main"
    auto_init: bool = True
    bots: Sequence[Bot] = (
        Bot("runner-readonly", "runner-bot", "read"),
        Bot("workspace-write", "workspace-bot", "write"),
    )
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)


def gitea_transport(base_url: str, token: str) -> Transport:
    """A session that shows the administrator's token."""
    proof = {AUTHORIZATION: f"token {token}", "Accept": "application/json"}
    return Transport(base_url, proof, timeout=CALL_SECONDS, connect=CONNECT_SECONDS)


class GiteaHost:
    """The port `RepositoryHost`. Whatever an earlier attempt did is found and left as it is."""

    def __init__(self, transport: Transport, policy: GiteaPolicy) -> None:
        self._transport = transport
        self._policy = policy

    async def create(self, repository: str, files: Mapping[str, str]) -> None:
        """A private one. Raises RepositoryTrouble."""
        found = await self._call("GET", _repo(repository), expected=(200, 404))
        if found.status_code == 404:
            await self._make(repository)
        elif _document(found).get("private") is not True:
            raise RepositoryTrouble(f"{repository} is there and open to strangers; operators: make it private in Gitea")
        for path, content in files.items():
            await self._write(repository, path, content)

    async def admit_bots(self, repository: str) -> None:
        """By their teams, else one by one. Raises RepositoryTrouble."""
        owner = repository.partition("/")[0]
        teams = await self._listed(f"/api/v1/orgs/{quote(owner)}/teams")
        ids = {str(team["name"]): int(team["id"]) for team in teams}
        for bot in self._policy.bots:
            if bot.team not in ids or not await self._joined(ids[bot.team], repository):
                await self._admit(bot, repository)

    async def announce(self, repository: str) -> None:
        """By a webhook of the repository, with the secret of today. Raises RepositoryTrouble."""
        if self._policy.webhook_url is None:
            return
        hooks = f"{_repo(repository)}/hooks"
        config = {
            "url": self._policy.webhook_url,
            "content_type": "json",
            "secret": self._policy.webhook_secret,
        }
        wanted = {"active": True, "events": ["push"], "config": config}
        for hook in await self._listed(hooks):
            if hook.get("config", {}).get("url") == self._policy.webhook_url:
                await self._call("PATCH", f"{hooks}/{int(hook['id'])}", wanted, expected=(200,))
                return
        await self._call("POST", hooks, {"type": "gitea", **wanted}, expected=(201,))

    async def remove(self, repository: str) -> None:
        """With all that was ever pushed to it. Raises RepositoryTrouble."""
        await self._call("DELETE", _repo(repository), expected=(204, 404))

    async def _make(self, repository: str) -> None:
        owner, _, name = repository.partition("/")
        wanted = {
            "name": name,
            "private": True,
            "auto_init": self._policy.auto_init,
            "default_branch": self._policy.default_branch,
        }
        # 409: another attempt made it meanwhile.
        await self._call("POST", f"/api/v1/orgs/{quote(owner)}/repos", wanted, expected=(201, 409))

    async def _write(self, repository: str, path: str, content: str) -> None:
        place, ref = f"{_repo(repository)}/contents/{quote(path)}", {"ref": self._policy.default_branch}
        if (await self._call("GET", place, query=ref, expected=(200, 404))).status_code == 200:
            return
        wanted = {
            "branch": self._policy.default_branch,
            "content": b64encode(content.encode()).decode(),
            "message": f"Begin with the platform's {path}",
        }
        answer = await self._call("POST", place, wanted, expected=(201, 422))
        if answer.status_code == 422:
            # Somebody pushed it meanwhile; anything else is still in the way.
            await self._call("GET", place, query=ref, expected=(200,))

    async def _joined(self, team: int, repository: str) -> bool:
        answer = await self._call("PUT", f"/api/v1/teams/{team}/repos/{repository}", expected=(204, 403, 404))
        return answer.status_code == 204

    async def _admit(self, bot: Bot, repository: str) -> None:
        path = f"{_repo(repository)}/collaborators/{quote(bot.account)}"
        answer = await self._call("PUT", path, {"permission": bot.permission}, expected=(204, 422))
        if answer.status_code == 422:
            raise RepositoryTrouble(
                f"there is neither a team {bot.team} nor an account {bot.account}; operators: make one of them in Gitea"
            )

    async def _listed(self, path: str) -> Sequence[Mapping[str, Any]]:
        """All pages; an organization or a repository that there is not has nothing."""
        found: list[Mapping[str, Any]] = []
        for page in range(1, _MOST_PAGES + 1):
            query = {"page": page, "limit": _PAGE}
            answer = await self._call("GET", path, query=query, expected=(200, 404))
            items = _parsed(answer) if answer.status_code == 200 else []
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise RepositoryTrouble(f"Gitea answers GET {path} with something else than a list")
            found += items
            if not items:
                break
        return found

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        expected: Sequence[int],
        query: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else None
        content = orjson.dumps(body) if body is not None else None
        try:
            answer = await self._transport.send(method, path, content=content, query=query, headers=headers)
        except ClientError as error:
            raise RepositoryTrouble(f"Gitea cannot be asked: {error}; operators: GITEA_BASE_URL") from error
        if answer.status_code in expected:
            return answer
        raise RepositoryTrouble(_refusal(method, path, answer))


def _repo(repository: str) -> str:
    return f"/api/v1/repos/{repository}"


def _refusal(method: str, path: str, answer: httpx.Response) -> str:
    said = f"Gitea answers {method} {path} with {answer.status_code}"
    if answer.status_code in (401, 403):
        return f"{said}; operators: GITEA_ADMIN_TOKEN must be of an account that owns the organization"
    try:
        words = str(_document(answer).get("message", ""))
    except RepositoryTrouble:
        words = ""
    return f"{said}: {words[:_MOST_WORDS]}" if words else said


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    found = _parsed(answer)
    if not isinstance(found, dict):
        raise RepositoryTrouble("Gitea answers with something else than an object; operators: GITEA_BASE_URL")
    return found


def _parsed(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except ValueError:
        raise RepositoryTrouble("Gitea answers with something else than JSON; operators: GITEA_BASE_URL") from None
