"""Looking for something in an app, and at what changes in it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.support.archives import zipped
from tests.support.workspace_calls import FILES, FilesNode, files_node, whose


@dataclass
class Events:
    """The events of one stream."""

    response: aiohttp.ClientResponse

    async def next(self) -> tuple[str, Any]:
        """Kind and data of the next one; ("", None) at the end."""
        kind = ""
        while line := await self.response.content.readline():
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                return kind, orjson.loads(line[6:])
        return "", None

    async def until(self, path: str) -> dict[str, str]:
        """All changes up to and with one of this path."""
        seen: dict[str, str] = {}
        while path not in seen:
            kind, data = await self.next()
            assert kind == "changes"
            seen |= {each["path"]: each["change"] for each in data["changes"]}
        return seen


@asynccontextmanager
async def events(node: FilesNode) -> AsyncIterator[Events]:
    async with node.calls.opened("GET", f"{FILES}/events", whose()) as response:
        assert response.status == 200
        found = Events(response)
        assert await found.next() == ("ready", {})
        yield found


async def test_what_changes_is_told(node: FilesNode) -> None:
    node.put("old", "1")
    node.put("gone", "1")
    async with events(node) as seen:
        (node.app / "old").write_text("2")
        (node.app / "gone").unlink()
        node.put("new/deep/file", "3")
        node.put("end", "4")
        changes = await seen.until("end")
        changes |= {} if "new/deep/file" in changes else await seen.until("new/deep/file")
    assert (changes["old"], changes["gone"]) == ("MODIFIED", "DELETED")
    assert (changes["new"], changes["new/deep"], changes["new/deep/file"]) == ("CREATED",) * 3


async def test_a_write_through_the_node_is_one_change(node: FilesNode) -> None:
    node.put("a", "1")
    async with events(node) as seen:
        await node.order("content", path="a", content="2")
        assert await seen.until("a") == {"a": "MODIFIED"}
        await node.order("content", path="b", content="2")
        assert await seen.until("b") == {"b": "CREATED"}
        await node.order("delete", path="a")
        assert await seen.until("a") == {"a": "DELETED"}


async def test_a_folder_that_moved_is_watched_where_it_is(node: FilesNode) -> None:
    node.put("a/file", "1")
    node.put("b/file", "2")
    async with events(node) as seen:
        await node.order("move", fromPath="a", toPath="b", overwrite=True)
        await seen.until("b")
        node.put("b/later", "3")
        assert "b/later" in await seen.until("b/later")


async def test_what_tools_make_and_what_is_elsewhere_is_not_watched(node: FilesNode, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    node.link("link", outside)
    node.put("node_modules/left/index.js", "1")
    async with events(node) as seen:
        node.put("node_modules/left/more.js", "2")
        node.put(".git/HEAD", "ref")
        (outside / "secret").write_text("3")
        node.put("end", "4")
        assert await seen.until("end") == {"end": "CREATED"}


async def test_more_than_is_told_asks_for_a_new_look(node: FilesNode) -> None:
    many = node.home / "many"
    many.mkdir()
    for number in range(600):
        (many / str(number)).touch()
    async with events(node) as seen:
        many.rename(node.app / "many")
        assert await seen.next() == ("reload", {})
    shutil.rmtree(node.app / "many")


async def test_a_new_content_asks_for_a_new_look_and_is_watched(node: FilesNode) -> None:
    async with events(node) as seen:
        await node.calls.call("POST", f"{FILES}/upload-zip", whose(), zipped({"a": "1"}))
        while (await seen.next())[0] != "reload":
            continue
        node.put("later", "2")
        assert "later" in await seen.until("later")


async def test_a_stream_ends_with_its_app(node: FilesNode) -> None:
    async with events(node) as seen:
        await asyncio.to_thread(shutil.rmtree, node.app)
        while (await seen.next())[0]:
            continue


async def test_a_stream_ends_with_the_node(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        async with files_node(tmp_path) as node:
            node.calls.session, own = session, node.calls.session
            seen = await stack.enter_async_context(events(node))
            node.calls.session = own
        assert await seen.next() == ("", None)


async def test_a_user_watches_a_bounded_number_of_views(node: FilesNode) -> None:
    streams = [events(node) for _ in range(8)]
    for each in streams:
        await each.__aenter__()
    answer = await node.get("events")
    assert (answer.status, answer.document["reason"]) == (503, "unavailable")
    for each in reversed(streams):
        await each.__aexit__(None, None, None)
    assert (await node.calls.call("GET", f"{FILES}/events", whose(app_id="6"))).status in (404, 503)


async def test_names_and_lines_are_found(node: FilesNode) -> None:
    node.put("src/Needle.ts", "nothing")
    node.put("src/main.ts", "first\n  the needle here\nNEEDLE and needle\n")
    node.put("node_modules/x", "needle")
    node.put("binary", b"needle\0")
    found = (await node.get("search", query="needle")).data
    assert [(one["path"], one["line"], one["column"], one["text"]) for one in found["matches"]] == [
        ("src/Needle.ts", None, None, None),
        ("src/main.ts", 2, 7, "  the needle here"),
        ("src/main.ts", 3, 1, "NEEDLE and needle"),
    ]
    assert (found["searchedFiles"], found["truncated"]) == (3, False)
    exact = (await node.get("search", query="NEEDLE", caseSensitive=True, names=False)).data
    assert [one["line"] for one in exact["matches"]] == [3]
    names = (await node.get("search", query="needle", contents=False, path="src")).data
    assert [one["path"] for one in names["matches"]] == ["src/Needle.ts"]


async def test_a_search_is_bounded(node: FilesNode) -> None:
    node.put("many", "x\n" * 1000)
    node.put("more", "x\n" * 1000)
    node.put("large", b"x" * (1024 * 1024 + 1))
    found = (await node.get("search", query="x", maxResults=30)).data
    assert len(found["matches"]) == 30 and found["truncated"]
    assert {one["path"] for one in found["matches"]} == {"many", "more"}
    long = (await node.get("search", query="x", path="large")).status
    assert long == 400


@pytest.mark.parametrize("query", ["", "a\nb", "x" * 257])
async def test_a_bad_search_is_400(node: FilesNode, query: str) -> None:
    assert (await node.get("search", query=query)).status == 400
