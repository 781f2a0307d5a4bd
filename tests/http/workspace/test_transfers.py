"""Uploads and downloads of any size, archives included."""

import asyncio
import errno
import io
import os
import zipfile
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.archives import LINK, encrypted, overlapping, renamed, wide, zipped
from tests.support.eventually import eventually
from tests.support.workspace_calls import FILES, UID, Answer, FilesNode, whose

MIB = 1024 * 1024


def form(data: bytes, field: str = "file") -> tuple[bytes, dict[str, str]]:
    """A form's body and headers, as browsers write them."""
    head = f'--XyZ\r\nContent-Disposition: form-data; name="{field}"; filename="a.zip"\r\n'
    body = head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--XyZ--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=XyZ"}


async def upload(node: FilesNode, call: str, data: bytes, headers: dict[str, str], **query: object) -> Answer:
    return await node.calls.call("POST", f"{FILES}/{call}", whose() | query, data, headers)


async def archive(node: FilesNode, data: bytes, **query: object) -> Answer:
    return await upload(node, "upload-zip", data, {"Content-Type": "application/zip"}, **query)


def broken_disk(_descriptor: int, _size: int) -> bytes:
    """What a read says of a disk that broke."""
    raise OSError(errno.EIO, "Input/output error")


def drafted(node: FilesNode) -> int:
    """How much of a file in the making is on the disk."""
    return sum(path.stat().st_size for path in (node.home / ".staging").glob("draft-*"))


def contents(node: FilesNode) -> dict[str, bytes]:
    """Every file of the app by its path."""
    files = (path for path in node.app.rglob("*") if path.is_file())
    return {str(path.relative_to(node.app)): path.read_bytes() for path in files}


async def test_a_form_and_a_plain_body_carry_a_file(node: FilesNode) -> None:
    body, headers = form(b"eins\r\n--Xy\r\nzwei")
    first = await upload(node, "upload-file", body, headers, path="a/b.txt")
    second = await upload(node, "upload-file", b"plain", {"Content-Type": "text/plain"}, path="c.txt")
    assert (first.status, first.data["content"]) == (200, "eins\r\n--Xy\r\nzwei")
    assert (second.status, second.data["content"], second.data["size"]) == (200, "plain", 5)
    assert contents(node) == {"a/b.txt": b"eins\r\n--Xy\r\nzwei", "c.txt": b"plain"}


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a" * (2 * MIB + 1)], ids=["binary", "long"])
async def test_what_no_editor_reads_is_stored_and_the_answer_says_so(node: FilesNode, data: bytes) -> None:
    body, headers = form(data)
    answer = await upload(node, "upload-file", body, headers, path="a.bin")
    assert (answer.status, answer.data["content"], answer.data["size"]) == (200, None, len(data))
    assert contents(node) == {"a.bin": data}


async def test_an_upload_respects_what_is_there(node: FilesNode) -> None:
    node.put("a", "1")
    plain = {"Content-Type": "application/octet-stream"}
    assert (await upload(node, "upload-file", b"2", plain, path="a", overwrite=False)).status == 409
    assert (await upload(node, "upload-file", b"2", plain, path="b/c", createParents=False)).status == 404
    assert (await upload(node, "upload-file", b"2", plain | {"If-Match": '"old"'}, path="a")).status == 412
    assert contents(node) == {"a": b"1"}


@pytest.mark.parametrize(
    "body",
    [b"", b"--XyZ--\r\n", form(b"x", "other")[0], form(b"x")[0][:-9], form(b"x")[0][:-9] + form(b"y")[0]],
    ids=["empty", "no part", "other field", "cut off", "two"],
)
async def test_a_form_without_exactly_one_whole_file_changes_nothing(node: FilesNode, body: bytes) -> None:
    answer = await upload(node, "upload-file", body, form(b"")[1], path="a")
    assert (answer.status, contents(node)) == (400, {})


async def test_a_streamed_body_counts_once_its_end_proves_it(node: FilesNode) -> None:
    pieces = [bytes([number]) * MIB for number in range(20)]
    query = whose() | {"path": "big"}
    forged = await node.calls.stream("POST", f"{FILES}/upload-file", query, pieces, forged=True)
    assert (forged.status, contents(node)) == (401, {})
    answer = await node.calls.stream("POST", f"{FILES}/upload-file", query, pieces)
    assert (answer.status, answer.data["size"]) == (200, 20 * MIB)
    assert contents(node) == {"big": b"".join(pieces)}


async def test_a_body_is_on_the_disk_while_it_comes(node: FilesNode) -> None:
    """Whole bodies in memory are what a few large uploads at once would bring the node down with."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield bytes(MIB)
        await eventually(lambda: asyncio.to_thread(lambda: drafted(node) > 16 * MIB))
        yield b"end"

    query = whose() | {"path": "big"}
    answer = await node.calls.stream("POST", f"{FILES}/upload-file", query, body())
    assert (answer.status, answer.data["size"]) == (200, 32 * MIB + 3)


@pytest.mark.parametrize("call", ["download-file", "download-zip", "download-dist", "events"])
async def test_what_is_streamed_has_no_head_alone(node: FilesNode, call: str) -> None:
    assert (await node.calls.call("HEAD", f"{FILES}/{call}", whose() | {"path": "a"})).status == 405


async def test_an_upload_that_ends_early_changes_nothing(node: FilesNode) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a" * MIB
        raise ConnectionError("the network is gone")

    node.put("big", "former")
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await node.calls.stream("POST", f"{FILES}/upload-file", whose() | {"path": "big"}, broken())
    assert (await node.get("content", path="big")).data["content"] == "former"


async def test_too_large_uploads_are_413(node: FilesNode) -> None:
    body, headers = form(b"")
    sent = headers | {"Content-Length": str(201 * MIB)}
    raw = whose() | {"path": "a"}
    async with node.calls.opened("POST", f"{FILES}/upload-file", raw, body, sent | {"Expect": ""}) as response:
        assert response.status == 413


async def test_a_download_is_whole_or_a_range(node: FilesNode) -> None:
    data = os.urandom(700_000)
    node.put("a b.bin", data)
    whole = await node.get("download-file", path="a b.bin")
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, data, "700000")
    assert whole.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20b.bin"
    for asked, part in (("bytes=10-19", data[10:20]), ("bytes=699990-", data[-10:]), ("bytes=-7", data[-7:])):
        ranged = await node.get("download-file", {"Range": asked}, path="a b.bin")
        assert (ranged.status, ranged.body) == (206, part)
        assert ranged.headers["Content-Range"].endswith("/700000")
    beyond = await node.get("download-file", {"Range": "bytes=700000-"}, path="a b.bin")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */700000")
    stale = await node.get("download-file", {"Range": "bytes=1-2", "If-Range": '"old"'}, path="a b.bin")
    assert (stale.status, len(stale.body)) == (200, 700_000)
    assert (await node.get("download-file", path="missing")).status == 404
    node.put("empty")
    assert (await node.get("download-file", path="empty")).body == b""


async def test_a_file_that_shrinks_while_it_is_sent_is_no_whole_answer(node: FilesNode) -> None:
    file = node.put("a", bytes(40 * MIB))
    with pytest.raises(aiohttp.ClientError):
        async with node.calls.opened("GET", f"{FILES}/download-file", whose() | {"path": "a"}) as response:
            await response.content.readexactly(1)
            os.truncate(file, MIB)
            await response.content.read()


async def test_an_app_is_downloaded_without_what_tools_made(node: FilesNode) -> None:
    node.put("src/run.sh", "echo").chmod(0o755)
    node.put("src/main.ts", "main")
    node.put("node_modules/left/index.js", "left")
    node.put(".git/HEAD", "ref")
    node.link("passwd", "/etc/passwd")
    os.mkfifo(node.app / "pipe")
    os.chown(node.app / "pipe", UID, UID)
    answer = await node.get("download-zip")
    assert "app_5.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        assert sorted(found.namelist()) == ["src/", "src/main.ts", "src/run.sh"]
        assert found.testzip() is None and found.read("src/main.ts") == b"main"
        assert found.getinfo("src/run.sh").external_attr >> 16 == 0o100755
    more = await node.get("download-zip", includeNodeModules=True)
    assert "node_modules/left/index.js" in zipfile.ZipFile(io.BytesIO(more.body)).namelist()


async def test_a_broken_archive_does_not_look_whole(node: FilesNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that becomes unreadable midway, existing clients got a truncated zip with status 200."""
    node.put("a", os.urandom(40 * MIB))
    with pytest.raises(aiohttp.ClientError):
        async with node.calls.opened("GET", f"{FILES}/download-zip", whose()) as response:
            await response.content.readexactly(1)
            assert response.status == 200
            monkeypatch.setattr(os, "read", broken_disk)
            await response.content.read()


async def test_dist_is_downloaded_when_there_is_one(node: FilesNode) -> None:
    assert (await node.get("download-dist")).status == 404
    node.put("dist/empty/.keep").unlink()
    assert (await node.get("download-dist")).status == 404
    node.put("dist/build/index.html", "<p>")
    answer = await node.get("download-dist")
    assert zipfile.ZipFile(io.BytesIO(answer.body)).read("build/index.html") == b"<p>"
    page = node.app / "dist" / "build" / "index.html"
    for number in range(5000):
        await asyncio.to_thread(os.link, page, page.parent.parent / str(number))
    assert (await node.get("download-dist")).status == 413


async def test_an_archive_becomes_the_app_but_for_what_is_kept(node: FilesNode) -> None:
    for path in ("old.txt", ".git/HEAD", "Dockerfile", ".gitignore", "node_modules/x"):
        node.put(path, f"former {path}")
    body, headers = form(
        zipped(
            {"src/a.ts": "a", "run.sh": "echo", "Dockerfile": "FROM evil", "src/.git/config": "evil", "empty/": ""},
            modes={"run.sh": 0o100755 << 16, "empty/": 0o40755 << 16},
        )
    )
    assert (await upload(node, "upload-zip", body, headers)).status == 200
    assert contents(node) == {
        "src/a.ts": b"a",
        "run.sh": b"echo",
        ".git/HEAD": b"former .git/HEAD",
        "Dockerfile": b"former Dockerfile",
        ".gitignore": b"former .gitignore",
    }
    assert (node.app / "run.sh").stat().st_mode & 0o777 == 0o755 and (node.app / "empty").is_dir()


async def test_without_overwriting_an_archive_needs_an_empty_app(node: FilesNode) -> None:
    assert (await archive(node, zipped({"a": "1"}), overwrite=False)).status == 200
    assert (await archive(node, zipped({"b": "2"}), overwrite=False)).status == 409
    assert contents(node) == {"a": b"1"}


async def test_an_archive_makes_an_app_that_is_not_there(node: FilesNode) -> None:
    query = whose(app_id="new")
    answer = await node.calls.call("POST", f"{FILES}/upload-zip", query, zipped({"a": "1"}))
    assert answer.status == 200 and (node.home / "apps" / "new" / "a").read_text() == "1"


REFUSED = {
    "no zip": b"PK nothing of the kind",
    "empty": b"",
    "truncated": zipped({"a": "1"})[:-8],
    "climbs": zipped({"good": "1", "../evil": "2"}),
    "climbs inside": zipped({"a/../../evil": "2"}),
    "climbs with backslashes": renamed(zipped({"xxxx_evil": "2"}), "xxxx_evil", rb"a\..\evil"),
    "absolute": zipped({"/etc/evil": "2"}),
    "a drive": zipped({"C:/evil": "2"}),
    "a NUL": renamed(zipped({"axevil": "2"}), "axevil", b"a\0evil"),
    "a link": zipped({"good": "1", "link": "/etc"}, modes={"link": LINK}),
    "a pipe": zipped({"pipe": ""}, modes={"pipe": 0o010644 << 16}),
    "encrypted": encrypted(zipped({"a": "1"})),
    "twice": renamed(zipped({"a": "1", "b": "2"}), "b", b"a"),
    "file and folder": zipped({"a": "1", "a/b": "2"}),
    "too deep": zipped({"d/" * 41 + "f": "1"}),
    "a bomb": zipped({"zeros": bytes(100 * MIB)}),
    "overlapping": overlapping(16 * MIB, 200),
    "too many": zipped({f"f{number}": "" for number in range(20_001)}),
    "an endless directory": wide(200_000),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_bad_archive_leaves_the_app_as_it_was(node: FilesNode, kind: str) -> None:
    node.put("former/file", "1")
    node.put(".git/HEAD", "ref")
    answer = await archive(node, REFUSED[kind])
    assert (answer.status, answer.document["reason"]) == (400, "invalid_request")
    assert contents(node) == {"former/file": b"1", ".git/HEAD": b"ref"}


async def test_a_crash_between_the_swap_and_its_end_loses_nothing(node: FilesNode) -> None:
    """What was to be kept still lies in the former content, which a new process finds beside the app."""
    former = node.home / ".staging" / "swap-5-0123-1"
    (former / ".git").mkdir(parents=True)
    (former / ".git" / "HEAD").write_text("ref")
    (former / "old").write_text("old")
    for path in (former.parent, former, *former.rglob("*")):
        os.chown(path, UID, UID)
    node.put("new", "1")
    assert (await node.order("content", path="a", content="1")).status == 200
    assert contents(node) == {"new": b"1", "a": b"1", ".git/HEAD": b"ref"}
