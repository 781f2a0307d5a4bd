"""A user's disk that is really full: nothing half is left, and there is a way out."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.archives import zipped
from tests.support.small_disk import small_disk
from tests.support.workspace_calls import FILES, UID, FilesNode, files_node, whose

MIB = 1024 * 1024
pytestmark = pytest.mark.real


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[FilesNode]:
    with small_disk(tmp_path, 16) as disk:
        async with files_node(disk) as node:
            yield node


async def test_a_write_beyond_the_disk_is_507_and_the_former_file_stays(node: FilesNode) -> None:
    node.put("big", "former")
    pieces = [os.urandom(MIB)] * 20
    answer = await node.calls.stream("POST", f"{FILES}/upload-file", whose() | {"path": "big"}, pieces)
    assert (answer.status, answer.document["reason"]) == (507, "disk_full")
    assert (node.app / "big").read_text() == "former" and node.leftovers() == []


async def test_an_archive_beyond_the_disk_is_507_and_the_former_app_stays(node: FilesNode) -> None:
    node.put("former", "1")
    node.put(".git/HEAD", "ref")
    archive = zipped({str(number): os.urandom(MIB) for number in range(9)})
    answer = await node.calls.call("POST", f"{FILES}/upload-zip", whose(), archive)
    assert answer.status == 507
    assert sorted(path.name for path in node.app.iterdir()) == [".git", "former"] and node.leftovers() == []


async def test_an_upload_goes_on_once_there_is_room(node: FilesNode) -> None:
    begun = await node.calls.call(
        "POST", f"{FILES}/uploads", whose() | {"path": "a"}, headers={"Upload-Length": str(2 * MIB)}
    )
    fill(node.app)
    upload = begun.headers["Location"].partition("?")[0]
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    full = await node.calls.stream("PATCH", upload, whose(), [bytes(MIB)] * 2, headers)
    assert full.status == 507
    assert (await node.order("delete", path="filling")).status == 200
    again = await node.calls.stream("PATCH", upload, whose(), [bytes(MIB)] * 2, headers)
    assert again.status == 204 and (node.app / "a").stat().st_size == 2 * MIB


async def test_a_full_disk_can_be_emptied(node: FilesNode) -> None:
    fill(node.app)
    assert (await node.order("content", path="more", content="x" * 100_000)).status == 507
    assert (await node.order("delete", path="filling")).status == 200
    assert (await node.order("content", path="more", content="x" * 100_000)).status == 200


def fill(app: Path) -> None:
    """Until nothing more fits, for the user as for the machine."""
    file = app / "filling"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
    os.chown(descriptor, UID, UID)
    try:
        for size in (MIB, 4096, 512):
            try:
                while os.write(descriptor, os.urandom(size)):
                    continue
            except OSError:
                continue
    finally:
        os.close(descriptor)
