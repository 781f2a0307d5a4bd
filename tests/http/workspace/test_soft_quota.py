"""A quota that no kernel keeps holds for everything that goes through the node."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.workspace.adapters.homes import LocalHomes
from daemons.workspace.adapters.quotas import SoftQuota
from tests.support.archives import zipped
from tests.support.workspace_calls import FILES, UID, USER, FilesNode, files_node, whose

MIB = 1024 * 1024


@pytest.fixture
def homes(tmp_path: Path) -> LocalHomes:
    return LocalHomes(tmp_path / "homes", tmp_path / "gates", SoftQuota(tmp_path / "aside", 8 * MIB), UID)


@pytest.fixture
async def node(tmp_path: Path, homes: LocalHomes) -> AsyncIterator[FilesNode]:
    async with files_node(tmp_path, rooms=homes) as node:
        yield node


async def _upload(node: FilesNode, path: str, mebibytes: int) -> int:
    pieces = [os.urandom(MIB)] * mebibytes
    return (await node.calls.stream("POST", f"{FILES}/upload-file", whose() | {"path": path}, pieces)).status


async def test_a_write_beyond_the_quota_is_507_and_the_former_file_stays(node: FilesNode) -> None:
    node.put("big", "former")
    assert await _upload(node, "big", 9) == 507
    assert (node.app / "big").read_text() == "former" and node.leftovers() == []
    assert await _upload(node, "big", 7) == 200
    assert await _upload(node, "more", 3) == 507
    text = await node.order("content", path="text", content="x" * (2 * MIB))
    assert (text.status, text.document["reason"]) == (507, "disk_full")


async def test_what_programs_wrote_counts_and_there_is_a_way_out(node: FilesNode) -> None:
    await asyncio.to_thread(node.put, "of-a-program", os.urandom(8 * MIB))
    assert (await node.order("content", path="more", content="x" * 100_000)).status == 507
    assert (await node.order("delete", path="of-a-program")).status == 200
    assert (await node.order("content", path="more", content="x" * 100_000)).status == 200


async def test_an_archive_that_would_not_fit_leaves_the_app_as_it_was(node: FilesNode) -> None:
    node.put("former", "1")
    archive = zipped({"zeros": bytes(9 * MIB)})
    refused = await node.calls.call("POST", f"{FILES}/upload-zip", whose(), archive)
    assert refused.status in (400, 413, 507)
    assert [path.name for path in node.app.iterdir()] == ["former"] and node.leftovers() == []
    fits = await node.calls.call("POST", f"{FILES}/upload-zip", whose(), zipped({"zeros": bytes(4 * MIB)}))
    assert fits.status == 200 and (node.app / "zeros").stat().st_size == 4 * MIB


async def test_writers_at_once_do_not_share_the_same_room(node: FilesNode, homes: LocalHomes) -> None:
    statuses = await asyncio.gather(*(_upload(node, f"file{number}", 2) for number in range(6)))
    assert set(statuses) <= {200, 507} and 507 in statuses
    assert (await homes.usage(USER)).used_bytes <= 8 * MIB
