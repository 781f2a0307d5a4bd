"""Orders to remove repositories: who gives them, who carries them out, and what is no order."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemons.api.adapters.removals import FolderRemovals
from daemons.api.ports.deletions import PartLeft
from daemons.git.adapters.removals import FolderOrders
from daemons.git.adapters.repositories import DiskRepositories
from daemons.git.services.removals import Removals
from daemons.kit.tasks import running
from protocol.api import GitRemoval, removal_file

NAME = "funai/u7-app20001"


def _listed(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_a_repository_is_removed_by_order_and_once(tmp_path: Path) -> None:
    repositories = DiskRepositories(tmp_path / "repositories")
    removals, orders = FolderRemovals(tmp_path / "removals"), FolderOrders(tmp_path / "removals")
    await repositories.create(NAME)
    await repositories.create("funai/u7-app20002")
    with pytest.raises(PartLeft, match="does it run"):
        await removals.remove(NAME)
    assert [order.repository for order in await orders.pending()] == [NAME]
    async with running(Removals(orders, repositories).run):
        await removals.remove(NAME)
        await removals.remove(NAME)
    assert _listed(tmp_path / "repositories" / "funai") == ["u7-app20002.git"]
    assert _listed(tmp_path / "removals") == []


async def test_what_was_done_for_nobody_is_heard_by_the_next_order(tmp_path: Path) -> None:
    orders, removals = FolderOrders(tmp_path), FolderRemovals(tmp_path)
    with pytest.raises(PartLeft):
        await removals.remove(NAME)
    (order,) = await orders.pending()
    await orders.done(order)
    assert await orders.pending() == []
    await removals.remove(NAME)
    assert _listed(tmp_path) == []


async def test_what_is_no_order_removes_nothing(tmp_path: Path) -> None:
    orders, good = FolderOrders(tmp_path), GitRemoval(repository=NAME).to_json()
    (tmp_path / "a.json").write_bytes(good)
    (tmp_path / "b.json").write_bytes(b"{")
    (tmp_path / removal_file("funai/x")).write_bytes(b'{"repository":"funai/../x"}')
    (tmp_path / f".{removal_file(NAME)}.0123").write_bytes(good)
    (tmp_path / f"{removal_file(NAME)}.done").write_bytes(good)
    (tmp_path / removal_file("*")).write_bytes(b'{"repository":"*"}')
    (tmp_path / removal_file("funai/link")).symlink_to(tmp_path / "a.json")
    assert await orders.pending() == []
    assert await FolderOrders(tmp_path / "none").pending() == []
    await FolderRemovals(None).remove(NAME)


async def test_what_was_left_half_way_is_swept(tmp_path: Path) -> None:
    repositories = DiskRepositories(tmp_path)
    await repositories.create(NAME)
    await asyncio.to_thread((tmp_path / "funai" / ".u7-app20002.git.0123").mkdir)
    await repositories.sweep()
    assert _listed(tmp_path / "funai") == ["u7-app20001.git"]
