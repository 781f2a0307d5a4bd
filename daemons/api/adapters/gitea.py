"""Repositories on Gitea, by its HTTP API."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from daemons.api.adapters.gitea_calls import GiteaCalls, document, repo_path
from daemons.api.ports.repositories import RepositoryTrouble
from protocol.client.transport import Transport


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


class GiteaHost:
    """The port `RepositoryHost`. Whatever an earlier attempt did is found and left as it is."""

    def __init__(self, transport: Transport, policy: GiteaPolicy) -> None:
        self._calls = GiteaCalls(transport)
        self._policy = policy

    async def create(self, repository: str, files: Mapping[str, str]) -> None:
        """A private one. Raises RepositoryTrouble."""
        found = await self._calls.call("GET", repo_path(repository), expected=(200, 404))
        if found.status_code == 404:
            await self._make(repository)
        elif document(found).get("private") is not True:
            raise RepositoryTrouble(f"{repository} is there and open to strangers; operators: make it private in Gitea")
        for path, content in files.items():
            await self._write(repository, path, content)

    async def admit_bots(self, repository: str) -> None:
        """By their teams, else one by one. Raises RepositoryTrouble."""
        owner = repository.partition("/")[0]
        teams = await self._calls.listed(f"/api/v1/orgs/{quote(owner)}/teams")
        ids = {str(team["name"]): int(team["id"]) for team in teams}
        for bot in self._policy.bots:
            if bot.team not in ids or not await self._joined(ids[bot.team], repository):
                await self._admit(bot, repository)

    async def announce(self, repository: str) -> None:
        """By a webhook of the repository, with the secret of today. Raises RepositoryTrouble."""
        if self._policy.webhook_url is None:
            return
        hooks = f"{repo_path(repository)}/hooks"
        config = {
            "url": self._policy.webhook_url,
            "content_type": "json",
            "secret": self._policy.webhook_secret,
        }
        wanted = {"active": True, "events": ["push"], "config": config}
        for hook in await self._calls.listed(hooks):
            if hook.get("config", {}).get("url") == self._policy.webhook_url:
                await self._calls.call("PATCH", f"{hooks}/{int(hook['id'])}", wanted, expected=(200,))
                return
        await self._calls.call("POST", hooks, {"type": "gitea", **wanted}, expected=(201,))

    async def remove(self, repository: str) -> None:
        """With all that was ever pushed to it. Raises RepositoryTrouble."""
        await self._calls.call("DELETE", repo_path(repository), expected=(204, 404))

    async def _make(self, repository: str) -> None:
        owner, _, name = repository.partition("/")
        wanted = {
            "name": name,
            "private": True,
            "auto_init": self._policy.auto_init,
            "default_branch": self._policy.default_branch,
        }
        # 409: another attempt made it meanwhile.
        await self._calls.call("POST", f"/api/v1/orgs/{quote(owner)}/repos", wanted, expected=(201, 409))

    async def _write(self, repository: str, path: str, content: str) -> None:
        place, ref = f"{repo_path(repository)}/contents/{quote(path)}", {"ref": self._policy.default_branch}
        if (await self._calls.call("GET", place, query=ref, expected=(200, 404))).status_code == 200:
            return
        wanted = {
            "branch": self._policy.default_branch,
            "content": b64encode(content.encode()).decode(),
            "message": f"Begin with the platform's {path}",
        }
        answer = await self._calls.call("POST", place, wanted, expected=(201, 422))
        if answer.status_code == 422:
            # Somebody pushed it meanwhile; anything else is still in the way.
            await self._calls.call("GET", place, query=ref, expected=(200,))

    async def _joined(self, team: int, repository: str) -> bool:
        answer = await self._calls.call("PUT", f"/api/v1/teams/{team}/repos/{repository}", expected=(204, 403, 404))
        return answer.status_code == 204

    async def _admit(self, bot: Bot, repository: str) -> None:
        path = f"{repo_path(repository)}/collaborators/{quote(bot.account)}"
        answer = await self._calls.call("PUT", path, {"permission": bot.permission}, expected=(204, 422))
        if answer.status_code == 422:
            raise RepositoryTrouble(
                f"there is neither a team {bot.team} nor an account {bot.account}; operators: make one of them in Gitea"
            )
