"""One suite over everybody who lends keys to a workspace node, with real git over real SSH: the folder of the git
server of ours, and the API, which has the same folder or asks Gitea by exchanges that are written down."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from daemons.api.adapters.git_loans import FolderLoans
from daemons.api.adapters.gitea import GiteaHost, GiteaPolicy
from daemons.api.adapters.gitea_calls import gitea_transport
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.composition.repositories import RepositoryParts
from daemons.api.ports.loans import LentKeys
from daemons.kit.clock import SystemClock
from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Source
from daemons.workspace.adapters.borrowed_keys import BorrowedKeys
from daemons.workspace.adapters.repository_keys import FolderKeys, GitServer
from daemons.workspace.composition.git import Keys
from daemons.workspace.ports.git import KeysUnavailable
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN
from tests.support import gitea_ssh, real
from tests.support.eventually import eventually
from tests.support.git_host import GitHost, git_host
from tests.support.gitea_server import TOKEN, GiteaServer, gitea_server
from tests.support.served_api import ADMIN, hear, served_api

pytestmark = pytest.mark.real

USER, APP, NODE = "1", "20001", "ws-own"
OWN_TOKEN, USER_TOKEN = "own-node-token-0123456789", "token-of-user-1-0123"
NAME, OTHER = f"funai/u{USER}-app{APP}", f"funai/u{USER}-app20002"


#: Who has no key, who has one for something else, and who had one a moment before.
_REFUSED = ("Permission denied", "no access", "no longer known")


@dataclass
class World:
    """Keys, and the git server that they open repositories of; without an API `api` is empty."""

    keys: Keys
    host: GitHost
    api: str = ""
    gitea: GiteaServer | None = None

    async def opens(self, key: bytes, repository: str = NAME) -> bool:
        """Whether the key writes to a repository."""
        push = ("push", "--quiet", "--force", self.host.url(repository), "HEAD:refs/heads/tried")
        done = await asyncio.to_thread(self.host.by_key, key, *push)
        assert done.returncode == 0 or any(words in done.stderr for words in _REFUSED), done.stderr
        return done.returncode == 0

    async def closed(self, key: bytes) -> bool:
        """Whether the key opens nothing."""
        return not await self.opens(key)


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), NAME) as found:
        found.commit({"README.md": "first\n"})
        found.push("HEAD:refs/heads/main")
        yield found


def server_of(host: GitHost, template: str = "u{userId}-app{appId}") -> GitServer:
    return GitServer("git", "127.0.0.1", host.port, "funai", template)


@asynccontextmanager
async def borrowing(folder: Path, host: GitHost, keys: LentKeys) -> AsyncIterator[World]:
    """By way of an API, for an app of a user who lives on the node."""
    parts = RepositoryParts(keys=keys)
    async with (
        served_api(folder, "", {int(USER): USER_TOKEN}, repositories=parts, own_tokens={NODE: OWN_TOKEN}) as url,
        Transport(url, {WORKSPACE_NODE_TOKEN: OWN_TOKEN}) as transport,
        Transport(url, bearer(USER_TOKEN)) as owner,
    ):
        await hear(url, "http://127.0.0.1:9", NODE, OWN_TOKEN)
        await place(url, USER)
        for _ in range(2):
            await ApiClient(owner).create_app()
        yield World(BorrowedKeys(server_of(host), host.known_hosts, transport), host, url)


async def place(url: str, user_id: str) -> None:
    """The user lives on the first node."""
    async with httpx.AsyncClient(base_url=url, headers={ADMIN_TOKEN: ADMIN}, trust_env=False) as client:
        order = {"userId": user_id, "targetNodeId": 1}
        (await client.post("/api/fun-ai/admin/workspace-nodes/reassign", json=order)).raise_for_status()


@asynccontextmanager
async def by_gitea(folder: Path, host: GitHost) -> AsyncIterator[World]:
    """The API asks Gitea, and whom that knows the git server lets in."""
    async with gitea_server() as server, gitea_transport(server.url, TOKEN) as transport:
        gitea = GiteaHost(transport, GiteaPolicy())
        await gitea.create(NAME, {})
        bot = gitea_ssh.account_of("runner-readonly", host.bot_key)
        await asyncio.to_thread(gitea_ssh.stand_before, server, host, {"runner-bot": bot})
        async with borrowing(folder, host, GiteaKeys(transport)) as world:
            world.gitea = server
            yield world


@pytest.fixture(params=["folder", "api and folder", "api and gitea"])
async def world(request: pytest.FixtureRequest, tmp_path: Path, host: GitHost) -> AsyncIterator[World]:
    match request.param:
        case "folder":
            yield World(FolderKeys(server_of(host), host.loans, host.known_hosts, SystemClock()), host)
        case "api and folder":
            async with borrowing(tmp_path, host, FolderLoans(host.loans)) as found:
                yield found
        case _:
            async with by_gitea(tmp_path, host) as found:
                yield found


async def test_a_key_opens_one_repository_until_it_is_given_back(world: World) -> None:
    async with world.keys.lent(USER, APP, 60) as loan:
        assert loan.url == world.host.url(NAME)
        assert loan.known_hosts == (await asyncio.to_thread(world.host.known_hosts.read_text)).strip()
        assert await world.opens(loan.private_key)
        assert not await world.opens(loan.private_key, OTHER)
    assert await world.closed(loan.private_key)


async def test_each_loan_has_a_key_of_its_own(world: World) -> None:
    async with world.keys.lent(USER, APP, 60) as one:
        async with world.keys.lent(USER, APP, 60) as another:
            assert one.private_key != another.private_key
            assert await world.opens(another.private_key)
        assert await world.closed(another.private_key)
        assert await world.opens(one.private_key)
    assert await world.closed(one.private_key)


async def test_a_key_that_nobody_gives_back_ends_by_its_time(world: World) -> None:
    """As after the node was killed."""
    async with AsyncExitStack() as left:
        loan = await left.enter_async_context(world.keys.lent(USER, APP, 1.0))
        left.pop_all()
    await eventually(lambda: world.closed(loan.private_key))


async def test_who_is_cancelled_gives_its_key_back(world: World) -> None:
    lent = asyncio.Event()
    keys: list[bytes] = []

    async def work() -> None:
        async with world.keys.lent(USER, APP, 600) as loan:
            keys.append(loan.private_key)
            lent.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await lent.wait()
        assert await world.opens(keys[0])
        task.cancel()
    assert await world.closed(keys[0])


async def test_all_keys_of_an_app_are_taken_back(world: World) -> None:
    async with world.keys.lent(USER, APP, 60) as one, world.keys.lent(USER, APP, 60) as another:
        assert await world.keys.take_back(USER, APP) == 2
        assert await world.closed(one.private_key) and await world.closed(another.private_key)
        assert await world.keys.take_back(USER, APP) == 0
    await world.keys.sweep()


async def test_without_the_servers_host_key_nothing_is_lent(world: World) -> None:
    await asyncio.to_thread(world.host.known_hosts.unlink)
    with pytest.raises(KeysUnavailable, match="FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH"):
        async with world.keys.lent(USER, APP, 60):
            pass
    assert await world.keys.take_back(USER, APP) == 0


async def test_nothing_is_borrowed_for_somebody_else(tmp_path: Path, host: GitHost) -> None:
    async with by_gitea(tmp_path, host) as world:
        for user, app in (("2", APP), (USER, "29999"), (USER, "shop")):
            with pytest.raises(KeysUnavailable, match=r"there is no app|appId"):
                async with world.keys.lent(user, app, 60):
                    pass
        assert world.gitea is not None and world.gitea.repositories[NAME].keys == {}


async def test_a_gitea_that_is_away_is_told_and_gets_the_key_back_later(tmp_path: Path, host: GitHost) -> None:
    async with by_gitea(tmp_path, host) as world:
        assert world.gitea is not None
        kept = world.gitea.repositories[NAME].keys
        world.gitea.failing = 1
        with pytest.raises(KeysUnavailable, match=r"Gitea answers POST .* with 500") as trouble:
            async with world.keys.lent(USER, APP, 60):
                pass
        assert TOKEN not in str(trouble.value) and OWN_TOKEN not in str(trouble.value)
        async with world.keys.lent(USER, APP, 60) as loan:
            world.gitea.failing = 2
        assert len(kept) == 1
        await eventually(lambda: world.closed(loan.private_key))
        assert kept == {}


async def test_names_that_differ_are_said_and_the_key_is_given_back(tmp_path: Path, host: GitHost) -> None:
    async with borrowing(tmp_path, host, FolderLoans(host.loans)) as world:
        async with Transport(world.api, {WORKSPACE_NODE_TOKEN: OWN_TOKEN}) as transport:
            keys = BorrowedKeys(server_of(host, "{userId}-of-{appId}"), host.known_hosts, transport)
            with pytest.raises(KeysUnavailable, match=f"as {NAME}, this node as funai/1-of-20001.*_REPO_OWNER"):
                async with keys.lent(USER, APP, 60):
                    pass
        assert await asyncio.to_thread(lambda: list(host.loans.iterdir())) == []


async def test_an_api_that_is_away_is_no_secret_but_the_token_is(tmp_path: Path, host: GitHost) -> None:
    async with Transport(f"http://127.0.0.1:{real.free_port()}", {WORKSPACE_NODE_TOKEN: OWN_TOKEN}) as transport:
        keys = BorrowedKeys(server_of(host), host.known_hosts, transport)
        with pytest.raises(KeysUnavailable, match="borrowed from the API") as trouble:
            async with keys.lent(USER, APP, 60):
                pass
        with pytest.raises(KeysUnavailable):
            await keys.take_back(USER, APP)
    assert OWN_TOKEN not in str(trouble.value)


class Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text


async def test_a_runner_fetches_from_gitea_with_its_bots_key(tmp_path: Path, host: GitHost) -> None:
    """Once the API let the bot in, and before that not: by its account's key and Gitea's host key, as operators set
    them up. A push is deployed by its commit."""
    commit = await asyncio.to_thread(host.git, "rev-parse", "HEAD")
    repository = GitRepository(GitKeys(host.bot_key, host.known_hosts), tmp_path / "mirrors", GitPolicy())

    log = Lines()

    async def fetched(ref: str, attempt: str) -> str:
        folder = tmp_path / attempt
        await asyncio.to_thread(folder.mkdir)
        return (await repository.checkout(Source(host.url(NAME), ref), folder, log)).commit

    async with by_gitea(tmp_path, host) as world, gitea_transport(_url(world), TOKEN) as transport:
        with pytest.raises(WorkFailed, match="could not be fetched"):
            await fetched("main", "early")
        assert "no access" in log.text
        await GiteaHost(transport, GiteaPolicy()).admit_bots(NAME)
        assert [await fetched("main", "branch"), await fetched(commit, "commit")] == [commit, commit]


def _url(world: World) -> str:
    assert world.gitea is not None
    return world.gitea.url
