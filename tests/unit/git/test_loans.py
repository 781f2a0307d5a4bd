"""Keys that are lent, between who lends them and the git server."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest

from daemons.git.adapters.access_file import FileAccessBook
from daemons.git.adapters.loans import Books, LoanFolder
from daemons.git.domain.access import Grant, Holder, Level
from daemons.git.domain.commands import Command, Service
from daemons.git.services.gatekeeper import Gatekeeper
from daemons.workspace.adapters.repository_keys import FolderKeys, GitServer
from daemons.workspace.ports.git import KeysUnavailable
from protocol.api import loan_file

SERVER = GitServer("git", "git.example", 2222, "funai", "u{userId}-app{appId}")
REPOSITORY = "funai/u7-appshop"


class HandClock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class NoRepositories:
    """Every repository is there."""

    async def exists(self, repository: str) -> bool:
        return True

    async def create(self, repository: str) -> None:
        raise AssertionError(repository)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def keys(tmp_path: Path, clock: HandClock) -> FolderKeys:
    (tmp_path / "known_hosts").write_text("[git.example]:2222 ssh-ed25519 AAAA\n")
    return FolderKeys(SERVER, tmp_path / "loans", tmp_path / "known_hosts", clock)


@pytest.fixture
def book(tmp_path: Path, clock: HandClock) -> Books:
    return Books(FileAccessBook(tmp_path / "access.json"), LoanFolder(tmp_path / "loans", clock))


def fingerprint(private_key: bytes) -> str:
    return asyncssh.import_private_key(private_key).get_fingerprint("sha256")


async def test_a_lent_key_opens_its_repository_until_it_is_taken_back(keys: FolderKeys, book: Books) -> None:
    async with keys.lent("7", "shop", 60) as loan:
        assert loan.url == "ssh://git@git.example:2222/funai/u7-appshop.git"
        assert loan.known_hosts == "[git.example]:2222 ssh-ed25519 AAAA"
        held = await book.holder(fingerprint(loan.private_key))
        assert held == Holder("workspace:7/shop", (Grant(REPOSITORY, Level.WRITE),))
        async with keys.lent("7", "shop", 60) as another:
            assert another.private_key != loan.private_key
    assert await book.holder(fingerprint(loan.private_key)) is None


async def test_its_time_ends_it(keys: FolderKeys, book: Books, clock: HandClock) -> None:
    gatekeeper = Gatekeeper(book, NoRepositories())
    push = Command(Service.RECEIVE_PACK, REPOSITORY)
    async with keys.lent("7", "shop", 60) as loan:
        mark = fingerprint(loan.private_key)
        clock.pass_(59)
        assert await gatekeeper.knows(mark)
        assert await gatekeeper.may_still(mark, push)
        assert not await gatekeeper.may_still(mark, Command(Service.UPLOAD_PACK, "funai/u8-appshop"))
        clock.pass_(1)
        assert not await gatekeeper.knows(mark)
        assert not await gatekeeper.may_still(mark, push)


async def test_what_a_crash_left_is_swept_when_its_time_is_over(
    tmp_path: Path, keys: FolderKeys, clock: HandClock
) -> None:
    lending = keys.lent("7", "shop", 60)
    await lending.__aenter__()
    (file,) = await asyncio.to_thread(lambda: list((tmp_path / "loans").iterdir()))
    content = await asyncio.to_thread(file.read_bytes)
    await keys.sweep()
    assert await asyncio.to_thread(file.exists)
    clock.pass_(60)
    await keys.sweep()
    assert not await asyncio.to_thread(file.exists)
    assert b"PRIVATE" not in content
    await lending.__aexit__(None, None, None)


@pytest.mark.parametrize("spoilt", [b"", b"{}", b"\0" * 100, b"[1]"])
async def test_a_file_that_is_no_loan_lends_nothing(
    tmp_path: Path, keys: FolderKeys, book: Books, spoilt: bytes
) -> None:
    async with keys.lent("7", "shop", 60) as loan:
        mark = fingerprint(loan.private_key)
        path = tmp_path / "loans" / loan_file(mark)
        whole = await asyncio.to_thread(path.read_bytes)
        await asyncio.to_thread(path.write_bytes, spoilt)
        assert await book.holder(mark) is None
        # Another key's file under its name is none of its own.
        other = tmp_path / "loans" / loan_file("SHA256:" + "a" * 43)
        await asyncio.to_thread(other.write_bytes, whole)
        assert await book.holder("SHA256:" + "a" * 43) is None


async def test_without_the_servers_host_key_nothing_is_lent(tmp_path: Path, keys: FolderKeys) -> None:
    await asyncio.to_thread((tmp_path / "known_hosts").unlink)
    with pytest.raises(KeysUnavailable, match="FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH"):
        async with keys.lent("7", "shop", 60):
            pass
    assert not await asyncio.to_thread((tmp_path / "loans").exists)
