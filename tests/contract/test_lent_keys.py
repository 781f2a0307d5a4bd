"""One suite over everybody who lets lent keys in: in memory, the git server of ours by its folder of loans, and Gitea
by exchanges that are written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import asyncssh
import pytest

from daemons.api.adapters.git_loans import FolderLoans
from daemons.api.adapters.gitea import GiteaHost, GiteaPolicy
from daemons.api.adapters.gitea_calls import gitea_transport
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.domain.keys import PublicKey, parse
from daemons.api.domain.loans import Loan, expiry, title
from daemons.api.ports.loans import LentKeys
from daemons.api.ports.repositories import RepositoryTrouble
from daemons.git.adapters.loans import LoanFolder
from daemons.git.domain.access import Grant, Level
from daemons.kit.clock import SystemClock
from protocol.api import GitAccess, GitGrant, GitLoan
from tests.support import real
from tests.support.gitea_server import TOKEN, GiteaServer, gitea_server
from tests.support.lent_keys import MemoryKeys

NAME, OTHER = "funai/u1-app20001", "funai/u1-app20002"
#: Times of loans that go on, and of one that is over.
LATER, OVER = 4_000_000_000_123, 1_000
#: Models are completed with their first use, which reads from the disk.
GitLoan(
    principal="x",
    fingerprint=f"SHA256:{'a' * 43}",
    public_key=f"ssh-ed25519 {'A' * 68}",
    grants=(GitGrant(repository="funai/x", access=GitAccess.WRITE),),
    expires_at_ms=1,
)


def made() -> PublicKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    return parse(key.export_public_key().decode())


def loan(key: PublicKey, repository: str = NAME, until: int = LATER) -> Loan:
    return Loan(key.fingerprint, 1, int(repository[-5:]), "ws-1", repository, until, 0, until)


class World(Protocol):
    """Who lets keys in, and what is seen of it from its other side."""

    @property
    def keys(self) -> LentKeys:
        """What is tested."""
        ...

    async def opens(self, key: PublicKey) -> set[str]:
        """The repositories that the key writes to."""
        ...


class Memory:
    """The twin."""

    def __init__(self) -> None:
        self.keys = MemoryKeys()

    async def opens(self, key: PublicKey) -> set[str]:
        return {name for name, fingerprint in self.keys.keys if fingerprint == key.fingerprint}


class Embedded:
    """The git server of ours, as far as it knows who holds a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = FolderLoans(folder)
        self.book = LoanFolder(folder, SystemClock())

    async def opens(self, key: PublicKey) -> set[str]:
        found = await self.book.holder(key.fingerprint)
        grants = found.grants if found is not None else ()
        assert all(grant == Grant(grant.repository, Level.WRITE) for grant in grants)
        return {grant.repository for grant in grants}


class Gitea:
    """What was done to the server that plays Gitea."""

    def __init__(self, server: GiteaServer, keys: GiteaKeys) -> None:
        self.server = server
        self.keys = keys

    async def opens(self, key: PublicKey) -> set[str]:
        found = set()
        for name, repository in self.server.repositories.items():
            mine = [each for each in repository.keys.values() if each["fingerprint"] == key.fingerprint]
            assert [(each["key"], each["read_only"]) for each in mine] in ([], [(key.text, False)])
            found |= {name for _ in mine}
        return found


@asynccontextmanager
async def gitea_world() -> AsyncIterator[Gitea]:
    async with gitea_server() as server, gitea_transport(server.url, TOKEN) as transport:
        for name in (NAME, OTHER):
            await GiteaHost(transport, GiteaPolicy()).create(name, {})
        yield Gitea(server, GiteaKeys(transport))


@pytest.fixture(params=["memory", "embedded", "gitea"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield Memory()
        case "embedded":
            yield Embedded(tmp_path / "loans")
        case _:
            async with gitea_world() as found:
                yield found


async def test_a_key_opens_one_repository_until_it_is_taken_back(world: World) -> None:
    key, another = made(), made()
    assert await world.opens(key) == set()
    await world.keys.admit(loan(key), key.text)
    await world.keys.admit(loan(another, OTHER), another.text)
    assert (await world.opens(key), await world.opens(another)) == ({NAME}, {OTHER})
    await world.keys.expel(loan(key))
    assert (await world.opens(key), await world.opens(another)) == (set(), {OTHER})


async def test_whatever_is_repeated_changes_nothing(world: World) -> None:
    key, never = made(), made()
    for _ in range(2):
        await world.keys.admit(loan(key), key.text)
    assert await world.opens(key) == {NAME}
    for _ in range(2):
        await world.keys.expel(loan(key))
        await world.keys.expel(loan(never))
    assert await world.opens(key) == set()


async def test_many_are_lent_at_once(world: World) -> None:
    keys = [made() for _ in range(6)]
    await asyncio.gather(*(world.keys.admit(loan(key), key.text) for key in keys))
    assert [await world.opens(key) for key in keys] == [{NAME}] * len(keys)
    await asyncio.gather(*(world.keys.expel(loan(key)) for key in keys[1:]))
    assert [await world.opens(key) for key in keys] == [{NAME}] + [set()] * 5


async def test_what_is_over_is_swept_by_its_own_word(world: World) -> None:
    over, live = made(), made()
    await world.keys.admit(loan(over, until=OVER), over.text)
    await world.keys.admit(loan(live), live.text)
    assert await world.keys.sweep([NAME, OTHER], 999) == 0
    assert await world.keys.sweep([NAME, OTHER], 1_000) == 1
    assert (await world.opens(over), await world.opens(live)) == (set(), {NAME})
    assert await world.keys.sweep([NAME, OTHER], 1_000) == 0


def test_a_title_says_until_when_and_nothing_else_does() -> None:
    mark = f"SHA256:{'b' * 43}"
    said = title(mark, 1_767_323_045_001)
    assert said == f"fun-ai-studio: lent to a workspace until 2026-01-02T03:04:06Z, {mark}"
    assert expiry(said) == 1_767_323_046_000
    assert datetime.fromtimestamp(1_767_323_046, UTC).isoformat() == "2026-01-02T03:04:06+00:00"
    for other in ("", "laptop", f"{said} ", said.replace("SHA", "SHB"), said.replace("-01-", "-13-"), f"my {said}"):
        assert expiry(other) is None


async def test_keys_that_somebody_else_added_to_gitea_stay() -> None:
    async with gitea_world() as world:
        theirs, over = made(), made()
        mine = {"id": 900, "title": "my laptop", "key": theirs.text, "fingerprint": theirs.fingerprint}
        world.server.repositories[NAME].keys[900] = {**mine, "read_only": False}
        for _ in range(120):
            crowd = made()
            await world.keys.admit(loan(crowd), crowd.text)
        await world.keys.admit(loan(over, until=OVER), over.text)
        await world.keys.expel(loan(over, OTHER))
        assert await world.keys.sweep([OTHER, NAME, "funai/u9-app29999"], 2_000) == 1
        assert len(world.server.repositories[NAME].keys) == 121
        assert await world.opens(theirs) == {NAME}


async def test_gitea_says_why_it_lets_a_key_not_in() -> None:
    async with gitea_world() as world:
        key = made()
        world.server.strangers.add(key.fingerprint)
        with pytest.raises(RepositoryTrouble, match="used as non-deploy key"):
            await world.keys.admit(loan(key), key.text)
        again = made()
        taken = {"id": 900, "title": title(again.fingerprint, LATER), "key": "", "fingerprint": "SHA256:x"}
        world.server.repositories[NAME].keys[900] = {**taken, "read_only": False}
        with pytest.raises(RepositoryTrouble, match="same name"):
            await world.keys.admit(loan(again), again.text)
        with pytest.raises(RepositoryTrouble, match="no repository funai/u1-app29999; the app's repoStatus"):
            await world.keys.admit(loan(again, "funai/u1-app29999"), again.text)
        world.server.failing = 1
        with pytest.raises(RepositoryTrouble, match="with 500"):
            await world.keys.expel(loan(key))


async def test_a_gitea_that_is_away_is_no_secret_but_its_token_is() -> None:
    key = made()
    async with gitea_transport(f"http://127.0.0.1:{real.free_port()}", TOKEN) as transport:
        with pytest.raises(RepositoryTrouble, match=r"cannot be asked.*GITEA_BASE_URL") as trouble:
            await GiteaKeys(transport).admit(loan(key), key.text)
    async with gitea_world() as world, gitea_transport(world.server.url, "another-token-of-nobody") as transport:
        with pytest.raises(RepositoryTrouble, match="GITEA_ADMIN_TOKEN") as refused:
            await GiteaKeys(transport).sweep([NAME], 1)
    assert TOKEN not in str(trouble.value) and "another-token" not in str(refused.value)


async def test_a_folder_that_nobody_can_write_is_said(tmp_path: Path) -> None:
    place = tmp_path / "a-file"
    await asyncio.to_thread(place.write_text, "")
    key, keys = made(), FolderLoans(place)
    with pytest.raises(RepositoryTrouble, match="GIT_LOANS_DIR"):
        await keys.admit(loan(key), key.text)
    with pytest.raises(RepositoryTrouble, match="GIT_LOANS_DIR"):
        await keys.sweep([NAME], 1)
