"""Orders about repositories: who gives them, who carries them out, and what is no order."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from daemons.api.adapters.git_orders import FolderHost
from daemons.api.ports.repositories import RepositoryTrouble
from daemons.git.adapters.orders import FolderOrders
from daemons.git.adapters.repositories import DiskRepositories
from daemons.git.services.orders import OrderBook
from daemons.git.services.pushes import Unwatched
from daemons.kit.tasks import running
from protocol.api import GitCreation, GitRemoval, GitTemplate, order_file
from tests.support.eventually import eventually

#: Models are completed with their first use, which reads from the disk.
GitCreation(repository="funai/x", templates=(GitTemplate(path="x", content=""),))
NAME, OTHER = "funai/u7-app20001", "funai/u7-app20002"


@dataclass(frozen=True)
class Shared:
    """Both sides of the folders."""

    folder: Path

    @property
    def host(self) -> FolderHost:
        """The API's side."""
        return FolderHost(self.folder / "creations", self.folder / "removals", patience=90)

    @property
    def unheard(self) -> FolderHost:
        """The API's side, while the git server does not run."""
        return FolderHost(self.folder / "creations", self.folder / "removals", patience=0.1)

    @property
    def repositories(self) -> DiskRepositories:
        """What the git server has."""
        return DiskRepositories(self.folder / "repositories")

    def book(self, repositories: DiskRepositories | None = None) -> OrderBook:
        """The git server's side."""
        creations = FolderOrders(self.folder / "creations", GitCreation)
        removals = FolderOrders(self.folder / "removals", GitRemoval)
        return OrderBook(creations, removals, repositories or self.repositories, Unwatched())

    def listed(self, name: str) -> Sequence[str]:
        """What is in one of the folders."""
        return _listed(self.folder / name)


def _listed(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_a_repository_is_made_and_removed_by_order(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    with pytest.raises(RepositoryTrouble, match="does it run"):
        await shared.unheard.create(NAME, {})
    async with running(shared.book().run):
        await shared.host.create(NAME, {})
        await shared.host.create(NAME, {"Dockerfile": "FROM scratch\n"})
        await shared.host.create(OTHER, {})
        assert shared.listed("repositories/funai") == ["u7-app20001.git", "u7-app20002.git"]
        await shared.host.remove(NAME)
        await shared.host.remove(NAME)
    assert shared.listed("repositories/funai") == ["u7-app20002.git"]
    assert [*shared.listed("creations"), *shared.listed("removals")] == []


async def test_what_was_done_for_nobody_is_heard_by_the_next_order(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    for order in (shared.unheard.create(NAME, {}), shared.unheard.remove(NAME)):
        with pytest.raises(RepositoryTrouble):
            await order
        await shared.book().carry_out()
    await shared.host.remove(NAME)
    assert [*shared.listed("creations"), *shared.listed("removals")] == []


async def test_an_order_that_is_withdrawn_while_it_is_carried_out_leaves_nothing(tmp_path: Path) -> None:
    """The git server has read it when it is withdrawn; its repository goes with the removal that follows."""
    shared = Shared(tmp_path)
    order = tmp_path / "removals" / order_file(NAME)

    class Slow(DiskRepositories):
        async def ensure(self, repository: str, files: Mapping[str, bytes]) -> bool:
            began.set()
            await eventually(lambda: asyncio.to_thread(order.exists))
            return await super().ensure(repository, files)

    began = asyncio.Event()
    with pytest.raises(RepositoryTrouble):
        await shared.unheard.create(NAME, {})
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.book(Slow(tmp_path / "repositories")).carry_out())
        await began.wait()
        await shared.host.remove(NAME)
    assert [*shared.listed("repositories/funai"), *shared.listed("creations"), *shared.listed("removals")] == []


async def test_what_is_no_order_does_nothing(tmp_path: Path) -> None:
    orders, good = FolderOrders(tmp_path, GitRemoval), GitRemoval(repository=NAME).to_json()
    (tmp_path / "a.json").write_bytes(good)
    (tmp_path / "b.json").write_bytes(b"{")
    (tmp_path / order_file("funai/x")).write_bytes(b'{"repository":"funai/../x"}')
    (tmp_path / f".{order_file(NAME)}.0123").write_bytes(good)
    (tmp_path / f"{order_file(NAME)}.done").write_bytes(good)
    (tmp_path / order_file("*")).write_bytes(b'{"repository":"*"}')
    (tmp_path / order_file("funai/link")).symlink_to(tmp_path / "a.json")
    assert await orders.pending() == []
    assert await FolderOrders(tmp_path / "none", GitCreation).pending() == []
    without = FolderHost(None, None)
    await without.create(NAME, {"a": "b"})
    await without.remove(NAME)


@pytest.mark.parametrize("path", ["../x", "/x", ".git/config", "a//b", "-x", "a\nb"])
async def test_a_template_stays_inside_its_repository(tmp_path: Path, path: str) -> None:
    content = b'{"repository":"funai/x","templates":[{"path":%s,"content":"x"}]}'
    (tmp_path / order_file("funai/x")).write_bytes(content % orjson.dumps(path))
    assert await FolderOrders(tmp_path, GitCreation).pending() == []


async def test_an_order_that_fails_keeps_no_other_from_being_carried_out(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    for order in (shared.unheard.create(NAME, {}), shared.unheard.create(OTHER, {})):
        with pytest.raises(RepositoryTrouble):
            await order
    in_the_way = tmp_path / "repositories" / "funai" / "u7-app20001.git"
    in_the_way.mkdir(parents=True)
    (in_the_way / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        await shared.book().carry_out()
    assert await shared.repositories.exists(OTHER)
    (in_the_way / "file").unlink()
    await shared.book().carry_out()
    assert await shared.repositories.exists(NAME)


async def test_what_was_left_half_way_is_swept(tmp_path: Path) -> None:
    repositories = DiskRepositories(tmp_path)
    await repositories.create(NAME)
    await asyncio.to_thread((tmp_path / "funai" / ".u7-app20002.git.0123").mkdir)
    await repositories.sweep()
    assert _listed(tmp_path / "funai") == ["u7-app20001.git"]


async def test_templates_are_what_an_empty_repository_begins_with(tmp_path: Path) -> None:
    repositories = DiskRepositories(tmp_path)
    files = {"Dockerfile": b"FROM scratch\n", ".gitignore": b"", "deploy/notes.txt": b"with\nlines"}
    assert await repositories.ensure(NAME, files)
    first = await repositories.branches(NAME)
    assert first is not None and list(first) == ["main"]
    assert not await repositories.ensure(NAME, {"Dockerfile": b"another"})
    assert await repositories.branches(NAME) == first
    await repositories.create(OTHER)
    assert await repositories.branches(OTHER) == {}
    assert not await repositories.ensure(OTHER, files)
    made = await repositories.branches(OTHER)
    assert made is not None and list(made) == ["main"]
    assert await repositories.branches("funai/none") is None
    argv = ["git", "--git-dir", str(repositories.path(NAME)), "ls-tree", "-r", "--name-only", "main"]
    shown = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == sorted(files)
