"""One suite over every host of repositories: in memory, the git server of ours by its orders, and Gitea by exchanges
that are written down."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from daemons.api.adapters.git_orders import FolderHost
from daemons.api.adapters.gitea import GiteaHost, GiteaPolicy
from daemons.api.adapters.gitea_calls import gitea_transport
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.domain.keys import PublicKey
from daemons.api.ports.repositories import RepositoryHost, RepositoryTrouble
from daemons.git.adapters.orders import FolderOrders
from daemons.git.adapters.repositories import DiskRepositories, environment
from daemons.git.services.orders import OrderBook
from daemons.git.services.pushes import Unwatched
from daemons.kit.tasks import running
from protocol.api import GitCreation, GitRemoval, GitTemplate
from tests.contract.test_lent_keys import loan, made
from tests.support import real
from tests.support.gitea_server import TOKEN, GiteaServer, gitea_server, written
from tests.support.repository_host import MemoryHost

#: Models are completed with their first use, which reads from the disk.
GitCreation(repository="funai/x", templates=(GitTemplate(path="x", content=""),))
NAME, OTHER = "funai/u1-app20001", "funai/u1-app20002"
FILES = {"Dockerfile": "FROM scratch\n", ".dockerignore": "node_modules\n", ".gitignore": "node_modules\n"}
HOOK = "http://api.example.org/api/fun-ai/webhooks/git"
SECRET = "of-the-tests"


class World(Protocol):
    """A host, and what is seen of it from its other side."""

    @property
    def host(self) -> RepositoryHost:
        """What is tested."""
        ...

    async def files(self, repository: str) -> Mapping[str, str] | None:
        """The files of its main branch; None when there is no such repository."""
        ...


class Memory:
    """The twin."""

    def __init__(self) -> None:
        self.host = MemoryHost()

    async def files(self, repository: str) -> Mapping[str, str] | None:
        return self.host.repositories.get(repository)


class Embedded:
    """The git server of ours, as far as it carries out orders."""

    def __init__(self, folder: Path) -> None:
        self.host = FolderHost(folder / "creations", folder / "removals")
        self.repositories = DiskRepositories(folder / "repositories")
        creations = FolderOrders(folder / "creations", GitCreation)
        removals = FolderOrders(folder / "removals", GitRemoval)
        self.book = OrderBook(creations, removals, self.repositories, Unwatched())

    async def files(self, repository: str) -> Mapping[str, str] | None:
        branches = await self.repositories.branches(repository)
        if branches is None:
            return None
        names = (await self._git(repository, "ls-tree", "-r", "--name-only", "main")).split() if branches else []
        return {name: await self._git(repository, "show", f"main:{name}") for name in names}

    async def _git(self, repository: str, *argv: str) -> str:
        line = ["git", "--git-dir", str(self.repositories.path(repository)), *argv]
        done = await asyncio.to_thread(
            subprocess.run, line, env=environment(), capture_output=True, text=True, check=True
        )
        return str(done.stdout)


class Gitea:
    """What was done to the server that plays Gitea."""

    def __init__(self, server: GiteaServer, host: GiteaHost) -> None:
        self.server = server
        self.host = host

    async def files(self, repository: str) -> Mapping[str, str] | None:
        found = self.server.repositories.get(repository)
        return None if found is None else {name: text for name, text in found.files.items() if name != "README.md"}


@asynccontextmanager
async def gitea_world(**policy: object) -> AsyncIterator[Gitea]:
    chosen = GiteaPolicy(webhook_url=HOOK, webhook_secret=SECRET, **policy)  # type: ignore[arg-type]
    async with gitea_server() as server, gitea_transport(server.url, TOKEN) as transport:
        yield Gitea(server, GiteaHost(transport, chosen))


@pytest.fixture(params=["memory", "embedded", "gitea"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield Memory()
        case "embedded":
            embedded = Embedded(tmp_path)
            async with running(embedded.book.run):
                yield embedded
        case _:
            async with gitea_world() as found:
                yield found


async def test_a_new_repository_begins_with_the_files(world: World) -> None:
    assert await world.files(NAME) is None
    await world.host.create(NAME, FILES)
    assert await world.files(NAME) == FILES
    await world.host.create(OTHER, {})
    assert await world.files(OTHER) == {}


async def test_whatever_is_repeated_changes_nothing(world: World) -> None:
    for _ in range(2):
        await world.host.create(NAME, FILES)
        await world.host.admit_bots(NAME)
        await world.host.announce(NAME)
    await world.host.create(NAME, {name: "another" for name in FILES})
    assert await world.files(NAME) == FILES


async def test_many_are_made_at_once(world: World) -> None:
    names = [f"funai/u1-app{20001 + number}" for number in range(5)]
    await asyncio.gather(*(world.host.create(name, FILES) for name in names))
    assert [await world.files(name) for name in names] == [FILES] * len(names)


async def test_a_repository_is_removed_and_stays_away(world: World) -> None:
    await world.host.remove(NAME)
    await world.host.create(NAME, FILES)
    await world.host.create(OTHER, FILES)
    for _ in range(2):
        await world.host.remove(NAME)
    assert await world.files(NAME) is None
    assert await world.files(OTHER) == FILES
    await world.host.create(NAME, {})
    assert await world.files(NAME) == {}


async def test_gitea_is_asked_for_private_repositories_with_bots_and_webhook() -> None:
    async with gitea_world() as world:
        await world.host.create(NAME, FILES)
        await world.host.admit_bots(NAME)
        for _ in range(2):
            await world.host.announce(NAME)
        made = world.server.repositories[NAME]
        assert made.private and made.teams == {"runner-readonly", "workspace-write"} and made.collaborators == {}
        [hook] = made.hooks.values()
        assert hook["config"] == {"url": HOOK, "content_type": "json", "secret": SECRET}
        assert (hook["events"], hook["active"]) == (["push"], True)


async def test_bots_are_let_in_one_by_one_where_there_are_no_teams() -> None:
    async with gitea_world() as world:
        world.server.teams = {number: f"another-{number}" for number in range(120)} | {500: "workspace-write"}
        await world.host.create(NAME, {})
        await world.host.admit_bots(NAME)
        made = world.server.repositories[NAME]
        assert (made.teams, made.collaborators) == ({"workspace-write"}, {"runner-bot": "read"})
        world.server.accounts.clear()
        with pytest.raises(RepositoryTrouble, match="neither a team runner-readonly nor an account runner-bot"):
            await world.host.admit_bots(NAME)


async def test_a_webhook_gets_the_secret_of_today() -> None:
    async with gitea_world() as world:
        await world.host.create(NAME, {})
        await world.host.announce(NAME)
        async with gitea_transport(world.server.url, TOKEN) as transport:
            policy = GiteaPolicy(webhook_url=HOOK, webhook_secret="of-tomorrow")
            await GiteaHost(transport, policy).announce(NAME)
            await GiteaHost(transport, GiteaPolicy()).announce(OTHER)
        [hook] = world.server.repositories[NAME].hooks.values()
        assert hook["config"]["secret"] == "of-tomorrow"


async def test_files_that_somebody_pushed_first_are_left_alone() -> None:
    async with gitea_world() as world:
        await world.host.create(NAME, {})
        world.server.repositories[NAME].files["Dockerfile"] = "FROM busybox\n"
        await world.host.create(NAME, FILES)
        assert await world.files(NAME) == {**FILES, "Dockerfile": "FROM busybox\n"}


async def test_a_repository_that_strangers_may_read_is_not_taken() -> None:
    async with gitea_world() as world:
        await world.host.create(NAME, {})
        world.server.repositories[NAME].private = False
        with pytest.raises(RepositoryTrouble, match="open to strangers"):
            await world.host.create(NAME, FILES)
        assert await world.files(NAME) == {}


@pytest.mark.parametrize("failing", range(1, 12))
async def test_whatever_failed_is_completed_by_the_next_attempt(failing: int) -> None:
    """One call after the other is refused; nothing is done twice, nothing is left out."""

    async def attempt(host: GiteaHost) -> None:
        await host.create(NAME, FILES)
        await host.admit_bots(NAME)
        await host.announce(NAME)

    async with gitea_world() as world:
        async with asyncio.TaskGroup() as group:
            group.create_task(_fail_at(world.server, failing))
            with pytest.raises(RepositoryTrouble, match="with 500"):
                await attempt(world.host)
        await attempt(world.host)
        made = world.server.repositories[NAME]
        assert await world.files(NAME) == FILES
        assert len(made.hooks) == 1 and made.teams == {"runner-readonly", "workspace-write"}


async def _fail_at(server: GiteaServer, number: int) -> None:
    while len(server.calls) < number - 1:  # noqa: ASYNC110 - the server is asked by the test itself
        await asyncio.sleep(0)
    server.failing = 1


async def test_what_is_wrong_is_said_without_the_token() -> None:
    async with gitea_world() as world:
        async with gitea_transport(world.server.url, "another-token-of-nobody") as transport:
            with pytest.raises(RepositoryTrouble, match="GITEA_ADMIN_TOKEN") as trouble:
                await GiteaHost(transport, GiteaPolicy()).create(NAME, {})
        assert "another-token" not in str(trouble.value)
        with pytest.raises(RepositoryTrouble, match="with 404"):
            await world.host.create("strangers/u1-app20001", {})
    async with gitea_transport(f"http://127.0.0.1:{real.free_port()}", TOKEN) as transport:
        with pytest.raises(RepositoryTrouble, match=r"cannot be asked.*GITEA_BASE_URL") as trouble:
            await GiteaHost(transport, GiteaPolicy()).create(NAME, {})
        assert TOKEN not in str(trouble.value)


async def test_all_that_is_written_down_is_asked() -> None:
    async with gitea_world() as world:
        world.server.teams.pop(7)
        await world.host.create(NAME, FILES)
        await world.host.admit_bots(NAME)
        for _ in range(2):
            await world.host.announce(NAME)
        await _lend(world, made())
        await world.host.remove(NAME)
        assert world.server.played == set(written())


async def _lend(world: Gitea, key: PublicKey) -> None:
    async with gitea_transport(world.server.url, TOKEN) as transport:
        keys = GiteaKeys(transport)
        await keys.admit(loan(key, NAME), key.text)
        await keys.sweep([NAME], 1)
        await keys.expel(loan(key, NAME))
