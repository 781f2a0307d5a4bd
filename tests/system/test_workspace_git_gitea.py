"""Git of a workspace in a real container whose repository is at Gitea: with keys that its node borrows from the API.

Gitea is played by exchanges that are written down; git and SSH are real.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.api.adapters.gitea import GiteaHost, GiteaPolicy
from daemons.api.adapters.gitea_calls import gitea_transport
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.composition.repositories import RepositoryParts
from protocol.api import RepoStatus
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Refused, Transport
from protocol.client.workspace import WorkspaceClient
from protocol.workspace_git import CommitMessage, GitResult
from tests.contract.test_repository_keys import place
from tests.support import git_image, gitea_ssh, workspace_node
from tests.support.eventually import eventually
from tests.support.git_host import GitHost, git_host
from tests.support.gitea_server import TOKEN, GiteaServer, gitea_server
from tests.support.served_api import hear, served_api
from tests.support.workspace_git import IMAGE
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

APP, NODE, OWN_TOKEN, USER_TOKEN = "20001", "ws-own", "own-node-token-0123456789", "token-of-user-1-0123"


@dataclass
class World:
    """A user's app, whose repository is at Gitea, on a node that holds nothing of Gitea's."""

    node: Node
    host: GitHost
    gitea: GiteaServer
    owner: ApiClient
    user: str

    @property
    def repository(self) -> str:
        """The app's."""
        return f"funai/u{self.user}-app{APP}"

    async def keys(self) -> list[str]:
        """What Gitea calls the keys that it knows now."""
        found = self.gitea.repositories.get(self.repository)
        return [] if found is None else [str(key["title"]) for key in found.keys.values()]

    def bare(self, *argv: str) -> str:
        """Git in the server's repository."""
        return self.host.git("--git-dir", str(self.host.folder / "repositories" / f"{self.repository}.git"), *argv)


@pytest.fixture
def user() -> str:
    return new_user()


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, user: str) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), f"funai/u{user}-app{APP}") as found:
        found.commit({"README.md": "first\n"})
        found.push("HEAD:refs/heads/main")
        yield found


@pytest.fixture
async def world(docker_url: str, tmp_path: Path, host: GitHost, user: str) -> AsyncIterator[World]:
    await asyncio.to_thread(git_image.build, docker_url, IMAGE)
    async with gitea_server() as server, gitea_transport(server.url, TOKEN) as transport:
        gitea = GiteaHost(transport, GiteaPolicy())
        await asyncio.to_thread(gitea_ssh.stand_before, server, host, {})
        parts = RepositoryParts(gitea, keys=GiteaKeys(transport))
        tokens = {int(user): USER_TOKEN}
        async with (
            served_api(tmp_path, SECRET, tokens, repositories=parts, own_tokens={NODE: OWN_TOKEN}) as url,
            Transport(url, bearer(USER_TOKEN)) as owner,
            _node(docker_url, tmp_path, host, url) as node,
        ):
            await hear(url, node.url, NODE, OWN_TOKEN)
            await place(url, user)
            await ApiClient(owner).create_app()
            found = World(node, host, server, ApiClient(owner), user)
            await eventually(lambda: _ready(found))
            yield found


def _node(docker_url: str, folder: Path, host: GitHost, api: str) -> AbstractAsyncContextManager[Node]:
    known: dict[str, Any] = {
        "FUNAI_WORKSPACE_IMAGE": IMAGE,
        "FUNAI_WORKSPACE_GIT_ENABLED": True,
        "FUNAI_WORKSPACE_GIT_KEYS": "api",
        "FUNAI_WORKSPACE_GIT_SSH_HOST": "127.0.0.1",
        "FUNAI_WORKSPACE_GIT_SSH_PORT": host.port,
        "FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH": host.known_hosts,
        "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL": api,
        "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN": OWN_TOKEN,
        # The test tells the API where the node is, under the name of its token.
        "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_ENABLED": False,
    }
    return workspace_node.node(docker_url, folder, **known)


async def _ready(world: World) -> bool:
    return (await world.owner.app(APP)).repo_status is RepoStatus.READY


@pytest.fixture
async def client(world: World, user: str) -> AsyncIterator[WorkspaceClient]:
    async with world.node.client(user) as found:
        yield found


async def test_a_repository_at_gitea_is_cloned_changed_and_pushed(world: World, client: WorkspaceClient) -> None:
    cloned = await client.git(APP, "ensure")
    assert (cloned.result, cloned.branch) == (GitResult.CLONED, "main"), cloned.message
    await asyncio.to_thread(_write, world, "new.txt", "of the user")
    pushed = await client.git(APP, "commit-push", CommitMessage(message="Add a text"))
    assert pushed.result is GitResult.SUCCESS, pushed.message
    assert await asyncio.to_thread(world.bare, "show", "main:new.txt") == "of the user"
    assert await world.keys() == []
    asked = [call.partition("/keys")[0] for call in world.gitea.calls if "/keys" in call]
    assert {call.split()[1] for call in asked} == {f"/api/v1/repos/{world.repository}"}


async def test_a_key_is_at_gitea_while_git_runs_and_no_longer(world: World, client: WorkspaceClient) -> None:
    """Its title says what it is and until when, and nothing of Gitea's is in the container."""
    await client.git(APP, "ensure")
    hook = "#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\n"
    await asyncio.to_thread(_write, world, ".git/hooks/pre-push", hook, executable=True)
    await asyncio.to_thread(_write, world, "a.txt", "a")
    async with asyncio.TaskGroup() as group:
        pushing = group.create_task(client.git(APP, "commit-push", CommitMessage()))
        await eventually(lambda: _lent(world))
        (title,) = await world.keys()
        assert title.startswith("fun-ai-studio: lent to a workspace until ")
        await asyncio.to_thread(_write, world, "go", "")
    assert pushing.result().result is GitResult.SUCCESS
    assert await world.keys() == []


async def _lent(world: World) -> bool:
    return len(await world.keys()) == 1


async def test_a_gitea_that_is_away_is_said_and_git_goes_on_afterwards(world: World, client: WorkspaceClient) -> None:
    world.gitea.failing = 1
    with pytest.raises(Refused, match=r"Gitea answers POST .*/keys with 500") as refusal:
        await client.git(APP, "ensure")
    assert refusal.value.status == 503 and TOKEN not in str(refusal.value)
    assert (await client.git(APP, "ensure")).result is GitResult.CLONED


async def test_a_deleted_app_leaves_neither_keys_nor_a_repository(world: World, client: WorkspaceClient) -> None:
    await client.git(APP, "ensure")
    await world.owner.delete_app(APP)
    await eventually(lambda: _gone(world))
    assert not (world.node.home(world.user) / "apps" / APP).exists()


async def _gone(world: World) -> bool:
    return world.repository not in world.gitea.repositories


def _write(world: World, name: str, text: str, *, executable: bool = False) -> None:
    path = world.node.home(world.user) / "apps" / APP / name
    path.write_text(text)
    path.chmod(0o755 if executable else 0o644)
