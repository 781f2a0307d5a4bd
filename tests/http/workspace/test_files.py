"""Tree, texts, folders, moving and removing over HTTP, as existing clients call them."""

import asyncio
import os

import pytest

from daemons.workspace.ports import Use
from tests.support.workspace_calls import APP, FILES, UID, USER, FilesNode, whose

MIB = 1024 * 1024


async def test_a_text_is_written_read_and_listed(node: FilesNode) -> None:
    written = await node.order("content", path="/src\\main.ts", content="eins\nzwei ä")
    read = await node.get("content", path="src/main.ts")
    assert (written.status, read.status) == (200, 200)
    assert written.data["content"] is None and written.data["size"] == len("eins\nzwei ä".encode())
    assert read.data == written.data | {"content": "eins\nzwei ä"}
    assert read.headers["ETag"] == written.data["etag"]
    assert (node.app / "src" / "main.ts").stat().st_uid == (node.app / "src").stat().st_uid == UID
    assert node.activity.touched[-1] == (USER, Use.FILES)


async def test_the_tree_has_folders_first_and_nothing_that_tools_made(node: FilesNode) -> None:
    for path in ("b.txt", "a.txt", "z/y/x.txt", "node_modules/left/index.js", ".git/HEAD", "build", ".env"):
        node.put(path, b"12345")
    node.link("link", "a.txt")
    tree = (await node.get("tree")).data
    assert [one["name"] for one in tree["nodes"]] == ["z", ".env", "a.txt", "b.txt", "build", "link"]
    assert tree["nodes"][0]["children"][0]["children"][0]["path"] == "z/y/x.txt"
    assert tree["nodes"][2]["type"] == "FILE" and tree["nodes"][2]["size"] == 5
    assert [one["link"] for one in tree["nodes"]] == [False] * 5 + [True]
    assert (tree["rootPath"], tree["maxDepth"], tree["maxEntries"], tree["truncated"]) == ("", 6, 5000, False)


async def test_the_tree_is_clamped_and_says_when_it_is_not_whole(node: FilesNode) -> None:
    for number in range(30):
        node.put(f"d/f{number:02}")
    tree = (await node.get("tree", path="d", maxDepth=99, maxEntries=10)).data
    assert (tree["rootPath"], tree["maxDepth"], tree["truncated"]) == ("d", 20, True)
    assert [one["path"] for one in tree["nodes"]] == [f"d/f{number:02}" for number in range(10)]
    shallow = (await node.get("tree", maxDepth=1, maxEntries=0)).data
    assert shallow["maxEntries"] == 1 and shallow["nodes"][0]["children"] == []
    assert (await node.get("tree", maxDepth=-1)).data["nodes"] == []


async def test_what_a_reader_has_is_not_sent_again(node: FilesNode) -> None:
    node.put("a", "1")
    first = await node.get("content", path="a")
    again = await node.get("content", {"If-None-Match": first.headers["ETag"]}, path="a")
    assert (again.status, again.body) == (304, b"")
    node.put("a", "2")
    assert (await node.get("content", {"If-None-Match": first.headers["ETag"]}, path="a")).data["content"] == "2"


@pytest.mark.parametrize("expected", [0, -1])
async def test_a_file_that_must_not_exist_is_made_once(node: FilesNode, expected: int) -> None:
    made = await node.order("content", path="a", content="1", expectedLastModifiedMs=expected)
    again = await node.order("content", path="a", content="2", expectedLastModifiedMs=expected)
    assert (made.status, again.status, again.document["reason"]) == (200, 409, "changed")
    assert again.data == {"lastModifiedMs": made.data["lastModifiedMs"], "etag": made.data["etag"]}
    assert (node.app / "a").read_text() == "1"


async def test_a_write_over_a_change_is_a_conflict_that_tells_the_time_of_the_change(node: FilesNode) -> None:
    known = node.put("a", "1").stat().st_mtime_ns // 1_000_000
    os.utime(node.app / "a", ns=(0, (known + 5) * 1_000_000))
    late = await node.order("content", path="a", content="2", expectedLastModifiedMs=known)
    assert (late.status, late.data["lastModifiedMs"]) == (409, known + 5)
    right = await node.order("content", path="a", content="3", expectedLastModifiedMs=known + 5)
    forced = await node.order("content", path="a", content="4", expectedLastModifiedMs=1, forceWrite=True)
    assert (right.status, forced.status, (node.app / "a").read_text()) == (200, 200, "4")
    gone = await node.order("content", path="b", content="x", expectedLastModifiedMs=known)
    assert (gone.status, gone.data) == (409, {"lastModifiedMs": None, "etag": None})


async def test_entity_tags_guard_writes(node: FilesNode) -> None:
    tag = (await node.order("content", path="a", content="1")).data["etag"]
    second = await node.order("content", {"If-Match": tag}, path="a", content="2")
    third = await node.order("content", {"If-Match": tag}, path="a", content="3")
    missing = await node.order("content", {"If-Match": "*"}, path="b", content="3")
    assert (second.status, third.status, missing.status) == (200, 412, 412)
    assert third.data["etag"] == second.data["etag"] and (node.app / "a").read_text() == "2"


async def test_of_many_writers_with_one_tag_one_wins(node: FilesNode) -> None:
    tag = (await node.order("content", path="a", content="0")).data["etag"]
    writes = [node.order("content", {"If-Match": tag}, path="a", content=str(number)) for number in range(1, 20)]
    statuses = [answer.status for answer in await asyncio.gather(*writes)]
    assert sorted(statuses) == [200] + [412] * 18
    assert (node.app / "a").read_text() == str(statuses.index(200) + 1)


async def test_a_new_content_keeps_the_mode(node: FilesNode) -> None:
    node.put("run.sh", "1").chmod(0o755)
    await node.order("content", path="run.sh", content="2")
    assert (node.app / "run.sh").stat().st_mode & 0o777 == 0o755


async def test_only_text_of_two_mebibytes_is_content(node: FilesNode) -> None:
    node.put("binary", b"\xff\xfe")
    node.put("most", "ä" * MIB)
    node.put("more", b"a" * (2 * MIB + 1))
    assert (await node.get("content", path="binary")).status == 400
    assert len((await node.get("content", path="most")).data["content"]) == MIB
    assert (await node.get("content", path="more")).status == 413
    assert (await node.order("content", path="most", content="b" * (2 * MIB))).status == 200
    assert (await node.order("content", path="most", content="b" * (2 * MIB + 1))).status == 413


async def test_folders_are_made_moved_and_removed(node: FilesNode) -> None:
    assert (await node.order("mkdir", path="a/b/c")).status == 200
    assert (await node.order("mkdir", path="a/b/c")).status == 200
    assert (await node.order("mkdir", path="a/b", createParents=False)).status == 409
    assert (await node.order("mkdir", path="x/y", createParents=False)).status == 404
    node.put("a/b/file", "1")
    assert (await node.order("mkdir", path="a/b/file/d")).status == 400
    assert (await node.order("move", fromPath="a/b", toPath="new/place")).status == 200
    assert (node.app / "new" / "place" / "file").read_text() == "1"
    assert (await node.order("delete", path="new")).status == 200
    assert (await node.order("delete", path="new/place/file")).status == 200
    assert sorted(path.name for path in node.app.iterdir()) == ["a"]


async def test_a_move_replaces_only_when_told(node: FilesNode) -> None:
    node.put("a", "1")
    node.put("b/inside", "2")
    assert (await node.order("move", fromPath="a", toPath="b")).status == 409
    assert (await node.order("move", fromPath="missing", toPath="c")).status == 404
    assert (await node.order("move", fromPath="b", toPath="b/inside/deeper")).status == 400
    assert (await node.order("move", fromPath="b", toPath="b")).status == 200
    assert (await node.order("move", fromPath="a", toPath="b", overwrite=True)).status == 200
    assert [(path.name, path.read_text()) for path in node.app.iterdir()] == [("b", "1")]


async def test_deep_and_closed_trees_are_removed(node: FilesNode) -> None:
    folder = os.open(node.app, os.O_RDONLY)
    for _ in range(700):
        os.mkdir("deep-" + "d" * 40, dir_fd=folder)
        deeper = os.open("deep-" + "d" * 40, os.O_RDONLY, dir_fd=folder)
        os.chown(deeper, UID, UID)
        os.close(folder)
        folder = deeper
    os.close(folder)
    node.put("closed/inside/file", "1")
    (node.app / "closed" / "inside").chmod(0)
    (node.app / "closed").chmod(0o500)
    for name in ("deep-" + "d" * 40, "closed"):
        assert (await node.order("delete", path=name)).status == 200
    assert list(node.app.iterdir()) == []


@pytest.mark.parametrize("call", ["content", "mkdir", "delete"])
@pytest.mark.parametrize("path", ["", "/", ".", "a/../b", "..", "\\..\\x", "a\0b", "x" * 256, "a/" * 2048 + "a"])
async def test_a_path_that_may_not_be_is_400_that_names_its_field(node: FilesNode, call: str, path: str) -> None:
    answer = await node.order(call, path=path, content="x")
    assert (answer.status, answer.document["reason"], answer.data["fields"]) == (400, "invalid_request", ["path"])
    assert list(node.app.iterdir()) == []


async def test_errors_have_real_statuses(node: FilesNode) -> None:
    """An answer of 200 always is a success: probes, gateways and clients see failures."""
    node.put("folder/file")
    assert (await node.get("content", path="nothing")).status == 404
    assert (await node.get("content", path="folder")).status == 400
    assert (await node.get("tree", path="folder/file")).status == 400
    assert (await node.get("tree", maxDepth="many")).status == 400
    assert (await node.order("content", path="folder", content="x")).status == 400
    assert (await node.order("content", path="no/parents", content="x", createParents=False)).status == 404
    assert (await node.get("nothing")).status == 404


async def test_an_app_belongs_to_the_user_in_whose_folder_it_is(node: FilesNode) -> None:
    node.put("a", "1")
    stranger = {"userId": "8", "appId": APP, "path": "a"}
    assert (await node.calls.call("GET", f"{FILES}/content", stranger)).status == 404
    assert (await node.calls.call("POST", f"{FILES}/content", "", stranger | {"content": "x"})).status == 404
    assert (await node.calls.call("POST", f"{FILES}/delete", "", stranger)).status == 404
    assert not (node.homes.root / "8" / "apps" / APP).exists()


@pytest.mark.parametrize(
    "query",
    [
        "userId=8&appId=5",
        "userId=7&appId=6",
        "userId=7&userId=8&appId=5",
        "%75serId=8",
        "userId=7&%61ppId=6",
        "appId=6",
    ],
)
async def test_query_and_body_name_one_user_and_one_app(node: FilesNode, query: str) -> None:
    """Whoever checked the query must have checked whom the body speaks for, however the names are encoded."""
    node.put("a", "1")
    body = whose() | {"path": "a", "content": "x"}
    assert (await node.calls.call("POST", f"{FILES}/content", query, body)).status == 400
    assert (node.app / "a").read_text() == "1"


async def test_a_name_that_is_given_twice_is_refused(node: FilesNode) -> None:
    node.put("a", "1")
    for query in ("userId=7&userId=7&appId=5&path=a", "userId=7&%75serId=8&appId=5&path=a"):
        assert (await node.calls.call("GET", f"{FILES}/content", query)).status == 400


async def test_nothing_is_told_without_a_signature(node: FilesNode) -> None:
    node.put("a", "1")
    async with node.calls.session.get(f"{node.calls.url}{FILES}/content?userId=7&appId=5&path=a") as response:
        assert response.status == 401


async def test_an_app_gets_its_folder_when_its_container_is_ensured(node: FilesNode) -> None:
    answer = await node.calls.call("POST", f"{FILES}/ensure-dir", {"userId": "9", "appId": "shop"})
    assert node.ensure.users == ["9"]
    assert answer.data == {
        "userId": "9",
        "appId": "shop",
        "hostAppDir": str(node.homes.root / "9" / "apps" / "shop"),
        "containerAppDir": "/workspace/apps/shop",
    }
    assert (node.homes.root / "9" / "apps" / "shop").stat().st_uid == UID


async def test_a_home_that_cannot_be_reached_is_said_to_be_away(node: FilesNode) -> None:
    node.homes.broken.add("9")
    answer = await node.calls.call("GET", f"{FILES}/tree", {"userId": "9", "appId": "shop"})
    assert (answer.status, answer.document["reason"]) == (503, "unavailable")


async def test_what_a_crash_left_behind_is_removed_at_the_next_use(node: FilesNode) -> None:
    staging = node.home / ".staging"
    (staging / "gone-0123-4" / "folder").mkdir(parents=True)
    (staging / "draft-0123-5").write_text("half")
    for path in (staging, *staging.rglob("*")):
        os.chown(path, UID, UID)
    assert (await node.order("content", path="a", content="1")).status == 200
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_whatever_is_called_as_the_staging_folder_gives_way(node: FilesNode, kind: str) -> None:
    staging = node.home / ".staging"
    if kind == "file":
        staging.write_text("x")
    else:
        staging.symlink_to("/etc")
    assert (await node.order("content", path="a", content="1")).status == 200
    assert staging.is_dir() and not staging.is_symlink()


async def test_a_text_counts_for_what_it_holds_not_for_how_json_writes_it(node: FilesNode) -> None:
    """Two MiB of control characters are twelve MiB of escapes."""
    text = "\x01" * (2 * MIB)
    assert (await node.order("content", path="escaped", content=text)).status == 200
    assert (await asyncio.to_thread((node.app / "escaped").read_bytes)) == text.encode()
    told = await node.order("content", path="more", content="\x01" * (3 * MIB))
    assert (told.status, told.document["reason"], str(16 * MIB) in told.document["message"]) == (
        413,
        "payload_too_large",
        True,
    )
