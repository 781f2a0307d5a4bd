"""Uploads in parts, over breaks and restarts."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.support.workspace_calls import FILES, UID, Answer, FilesNode, files_node, whose

MIB = 1024 * 1024
PART = {"Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0"}


@dataclass
class SetClock:
    """A clock that stands until it is moved."""

    moment: datetime = datetime(2026, 1, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


async def begin(node: FilesNode, length: int, path: str = "a/b.bin", **query: object) -> str:
    """The address of a new upload."""
    asked = whose() | {"path": path} | query
    answer = await node.calls.call("POST", f"{FILES}/uploads", asked, headers={"Upload-Length": str(length)})
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, "0")
    return answer.headers["Location"].partition("?")[0]


async def add(node: FilesNode, upload: str, offset: int, data: bytes, **headers: str) -> Answer:
    sent = PART | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): text for name, text in headers.items()}
    return await node.calls.stream("PATCH", upload, whose(), [data], sent)


async def offset_of(node: FilesNode, upload: str) -> int:
    answer = await node.calls.call("HEAD", upload, whose())
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


async def test_an_upload_comes_in_parts_and_appears_as_a_whole(node: FilesNode) -> None:
    data = os.urandom(3 * MIB)
    upload = await begin(node, len(data))
    for at in range(0, len(data), MIB):
        assert not (node.app / "a").exists()
        answer = await add(node, upload, at, data[at : at + MIB])
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(at + MIB))
    assert (node.app / "a" / "b.bin").read_bytes() == data
    assert (node.app / "a" / "b.bin").stat().st_uid == UID
    assert (await node.calls.call("HEAD", upload, whose())).status == 404


async def test_an_upload_goes_on_after_a_break_and_a_restart(tmp_path: Path) -> None:
    data = os.urandom(2 * MIB)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ConnectionError("the network is gone")

    async with files_node(tmp_path) as node:
        upload = await begin(node, len(data))
        await add(node, upload, 0, data[:MIB])
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await node.calls.stream("PATCH", upload, whose(), broken(), PART | {"Upload-Offset": str(MIB)})
    # What a node that was killed had written beyond what was proven.
    (draft,) = (tmp_path / "homes" / "7" / ".staging").iterdir()
    await asyncio.to_thread(lambda: draft.write_bytes(draft.read_bytes() + b"unproven"))
    async with files_node(tmp_path) as node:
        assert await offset_of(node, upload) == MIB
        assert (await add(node, upload, MIB, data[MIB:])).status == 204
        assert (node.app / "a" / "b.bin").read_bytes() == data
        assert node.leftovers() == []


async def test_only_the_next_bytes_are_added(node: FilesNode) -> None:
    upload = await begin(node, 10)
    assert (await add(node, upload, 0, b"12345")).status == 204
    again = await add(node, upload, 0, b"12345")
    assert (again.status, again.data) == (409, {"offset": 5})
    assert (await add(node, upload, 7, b"890")).status == 409
    assert (await add(node, upload, 5, b"678901")).status == 413
    assert await offset_of(node, upload) == 5
    assert (await add(node, upload, 5, b"67890")).status == 204
    assert (node.app / "a" / "b.bin").read_bytes() == b"1234567890"


async def test_of_many_who_add_the_same_bytes_one_does(node: FilesNode) -> None:
    upload = await begin(node, 2 * MIB)
    answers = await asyncio.gather(*(add(node, upload, 0, bytes([number]) * MIB) for number in range(8)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [204] + [409] * 7 and await offset_of(node, upload) == MIB
    assert (await add(node, upload, MIB, bytes(MIB))).status == 204
    data = (node.app / "a" / "b.bin").read_bytes()
    assert len(data) == 2 * MIB and len(set(data[:MIB])) == 1


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_bytes_that_changed_on_the_way_do_not_count(node: FilesNode, algorithm: str) -> None:
    upload = await begin(node, 5)
    right = base64.b64encode(hashlib.new(algorithm, b"12345").digest()).decode()
    assert (await add(node, upload, 0, b"12346", Upload_Checksum=f"{algorithm} {right}")).status == 460
    assert await offset_of(node, upload) == 0
    assert (await add(node, upload, 0, b"12345", Upload_Checksum=f"{algorithm} {right}")).status == 204


async def test_unproven_bytes_do_not_count(node: FilesNode) -> None:
    upload = await begin(node, 5)
    headers = PART | {"Upload-Offset": "0"}
    forged = await node.calls.stream("PATCH", upload, whose(), [b"12345"], headers, forged=True)
    assert (forged.status, await offset_of(node, upload)) == (401, 0)
    assert not (node.app / "a").exists()
    await node.calls.call("DELETE", upload, whose())


async def test_an_upload_belongs_to_its_user_and_app(node: FilesNode) -> None:
    upload = await begin(node, 5)
    for stranger in (whose("8"), whose("7", "6")):
        assert (await node.calls.call("HEAD", upload, stranger)).status == 404
        assert (await node.calls.call("DELETE", upload, stranger)).status == 404
        sent = await node.calls.stream("PATCH", upload, stranger, [b"12345"], PART | {"Upload-Offset": "0"})
        assert sent.status == 404
    assert (await node.calls.call("DELETE", upload, whose())).status == 204
    assert (await node.calls.call("DELETE", upload, whose())).status == 404


@pytest.mark.parametrize("upload", ["..", "%2e%2e%2fx", "0" * 32, "x.json"])
async def test_an_upload_that_never_was_is_404(node: FilesNode, upload: str) -> None:
    assert (await node.calls.call("HEAD", f"{FILES}/uploads/{upload}", whose())).status == 404


async def test_an_upload_expires(tmp_path: Path) -> None:
    clock = SetClock()
    async with files_node(tmp_path, clock) as node:
        upload = await begin(node, 5)
        assert (await add(node, upload, 0, b"123")).status == 204
        clock.moment += timedelta(hours=24, seconds=-1)
        assert await offset_of(node, upload) == 3
        clock.moment += timedelta(seconds=2)
        assert (await node.calls.call("HEAD", upload, whose())).status == 404


async def test_a_bad_beginning_is_refused(node: FilesNode) -> None:
    async def status(length: str, path: str = "a", **query: object) -> int:
        asked = whose() | {"path": path} | query
        return (await node.calls.call("POST", f"{FILES}/uploads", asked, headers={"Upload-Length": length})).status

    assert await status("") == await status("-1") == await status("5", "../a") == 400
    assert await status(str(11 * 1024**3)) == 413
    assert await status("5", appId="6") == 404
    assert await status("0", "empty") == 201 and (node.app / "empty").read_bytes() == b""
    assert await status("0", "empty", overwrite=False) == 409
    options = await node.calls.call("OPTIONS", f"{FILES}/uploads")
    assert (options.status, options.headers["Tus-Max-Size"]) == (204, str(10 * 1024**3))


async def test_a_user_has_a_bounded_number_of_uploads(node: FilesNode) -> None:
    uploads = [await begin(node, 5) for _ in range(16)]
    asked = whose() | {"path": "a"}
    answer = await node.calls.call("POST", f"{FILES}/uploads", asked, headers={"Upload-Length": "5"})
    assert (answer.status, answer.document["reason"]) == (409, "app_limit")
    for upload in uploads:
        assert (await node.calls.call("DELETE", upload, whose())).status == 204


async def test_another_version_of_tus_is_the_callers_mistake(node: FilesNode) -> None:
    headers = {"Upload-Length": "1", "Tus-Resumable": "0.2.2"}
    answer = await node.calls.call("POST", f"{FILES}/uploads", whose() | {"path": "a"}, headers=headers)
    assert (answer.status, answer.document["reason"]) == (412, "invalid_request")
