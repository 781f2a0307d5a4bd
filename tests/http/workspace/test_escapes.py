"""Nothing outside of an app is read or changed through the node, whatever its owner does to the tree meanwhile.

Two thousand calls of chance, each on a path that leads out, over links, races, encodings and archives. The canary
outside is open to everybody: neither a mode nor an owner keeps the node from it.
"""

import asyncio
import io
import random
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from daemons.workspace.adapters.confined import Confinement
from tests.support.archives import LINK, zipped
from tests.support.hostile_app import HostileApp, hostile_app
from tests.support.workspace_calls import FILES, Answer, FilesNode, files_node, whose

GROUPS, CASES = 20, 100
FINE = {200, 201, 204, 206, 304, 400, 403, 404, 405, 409, 412, 413, 416, 460}
PATHS = (
    "link-file",
    "link-dir/canary",
    "link-dir/new",
    "link-dir/folder",
    "link-dir",
    "link-up/canary",
    "link-up/new",
    "link-inner/canary",
    "link-inner/file",
    "chain/canary",
    "chain/folder/new",
    "loop/x",
    "proc-root/canary",
    "proc-root",
    "proc-cwd/pyproject.toml",
    "proc-fd/0",
    "etc/hostname",
    "etc/new",
    "hard",
    "pipe",
    "zero",
    "flip/canary",
    "flip/new",
    "flip/folder/new",
    "flip/inner",
    "flip",
    "flop/canary",
    "flop",
    "safe/canary",
    "safe/file",
    "safe",
    "../../../../outside/canary",
    "safe/../../../../../outside/canary",
    "..\\..\\..\\..\\outside\\canary",
    "/../../../../outside/canary",
    "%2e%2e/%2e%2e/canary",
    "..%2f..%2fcanary",
    "....//....//canary",
    "link-dir/./canary",
    "link-dir//canary",
    "link-dir/..;/canary",
    "canary\0.txt",
    "safe/\u2024\u2024/canary",
    "\uff0e\uff0e/\uff0e\uff0e/canary",
)
ARCHIVES = (
    zipped({"../../../../outside/canary": "evil"}),
    zipped({"link-dir": "/etc", "link-dir/canary": "evil"}, modes={"link-dir": LINK}),
    zipped({"flip/canary": "evil", "flip/new": "evil"}),
    zipped({"/tmp/evil": "evil"}),
    zipped({"fine": "1"}),
)

Case = Callable[[FilesNode, random.Random], Awaitable[Answer]]


def path_of(chance: random.Random) -> str:
    return chance.choice(PATHS)


async def ask(node: FilesNode, call: str, chance: random.Random) -> Answer:
    path = path_of(chance)
    encoded = chance.choice([quote(path, safe=""), quote(quote(path, safe=""), safe=""), quote(path)])
    return await node.calls.call("GET", f"{FILES}/{call}", f"userId=7&appId=5&path={encoded}")


async def content(node: FilesNode, chance: random.Random) -> Answer:
    return await ask(node, "content", chance)


async def download(node: FilesNode, chance: random.Random) -> Answer:
    return await ask(node, "download-file", chance)


async def tree(node: FilesNode, chance: random.Random) -> Answer:
    return await ask(node, "tree", chance)


async def search(node: FilesNode, chance: random.Random) -> Answer:
    return await node.get("search", query="CANARY", path=path_of(chance))


async def write(node: FilesNode, chance: random.Random) -> Answer:
    expected = chance.choice([None, None, 0, 1])
    return await node.order("content", path=path_of(chance), content="evil", expectedLastModifiedMs=expected)


async def mkdir(node: FilesNode, chance: random.Random) -> Answer:
    return await node.order("mkdir", path=path_of(chance), createParents=chance.random() < 0.5)


async def delete(node: FilesNode, chance: random.Random) -> Answer:
    return await node.order("delete", path=path_of(chance))


async def move(node: FilesNode, chance: random.Random) -> Answer:
    source, target = path_of(chance), path_of(chance)
    return await node.order("move", fromPath=source, toPath=target, overwrite=chance.random() < 0.5)


async def upload(node: FilesNode, chance: random.Random) -> Answer:
    query = whose() | {"path": path_of(chance), "overwrite": chance.random() < 0.7}
    return await node.calls.call("POST", f"{FILES}/upload-file", query, b"evil")


async def upload_in_parts(node: FilesNode, chance: random.Random) -> Answer:
    asked = whose() | {"path": path_of(chance)}
    begun = await node.calls.call("POST", f"{FILES}/uploads", asked, headers={"Upload-Length": "4"})
    if begun.status != 201:
        return begun
    upload = begun.headers["Location"].partition("?")[0]
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    added = await node.calls.stream("PATCH", upload, whose(), [b"evil"], headers)
    if added.status != 204:
        await node.calls.call("DELETE", upload, whose())
    return added


async def upload_archive(node: FilesNode, chance: random.Random) -> Answer:
    return await node.calls.call("POST", f"{FILES}/upload-zip", whose(), chance.choice(ARCHIVES))


async def download_archive(node: FilesNode, chance: random.Random) -> Answer:
    del chance
    answer = await node.get("download-zip", includeNodeModules=True)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        inside = b"".join(found.read(name) for name in found.namelist())
    return Answer(answer.status, answer.headers, inside)


OFTEN: tuple[Case, ...] = (content, download, tree, search, write, mkdir, delete, move, upload)
SELDOM: tuple[Case, ...] = (upload_in_parts, upload_archive, download_archive)


@pytest.fixture(params=["openat2", "steps"])
async def node(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FilesNode]:
    if request.param == "steps":
        monkeypatch.setattr(Confinement, "of_this_kernel", classmethod(lambda cls, uid: cls(uid, by_kernel=False)))
    async with files_node(tmp_path) as node:
        yield node


@pytest.mark.parametrize("group", range(GROUPS // 2))
async def test_no_call_reaches_what_is_outside(node: FilesNode, tmp_path: Path, group: int) -> None:
    hostile = await asyncio.to_thread(hostile_app, node.app, tmp_path)
    before, chance = await asyncio.to_thread(hostile.seen), random.Random(group)
    with hostile.flipping():
        for number in range(CASES):
            case = chance.choice(OFTEN if chance.random() < 0.94 else SELDOM)
            await one(node, hostile, case, random.Random(f"{group}-{number}"))
    assert await asyncio.to_thread(hostile.seen) == before


async def one(node: FilesNode, hostile: HostileApp, case: Case, chance: random.Random) -> None:
    await asyncio.to_thread(hostile.plant)
    answer = await case(node, chance)
    assert answer.status in FINE, (case.__name__, answer)
    assert hostile.canary not in answer.body, case.__name__


@pytest.mark.parametrize(
    "name", ["zero", "pipe", "hard", "link-file", "proc-root/canary", "link-up/canary", "safe/canary"]
)
async def test_what_is_no_file_of_the_app_is_refused_at_once(node: FilesNode, tmp_path: Path, name: str) -> None:
    await asyncio.to_thread(hostile_app, node.app, tmp_path)
    for call in ("content", "download-file"):
        assert (await node.get(call, path=name)).status in (400, 403)


async def test_links_within_the_app_are_read_by_the_kernels_leave(tmp_path: Path) -> None:
    async with files_node(tmp_path) as node:
        node.put("real/file", "1")
        node.link("alias", "real")
        assert (await node.get("content", path="alias/file")).data["content"] == "1"
        assert (await node.order("content", path="alias/file", content="2")).status == 400


@pytest.mark.parametrize("call", ["tree", "content", "download-file", "download-zip"])
async def test_an_app_that_is_a_link_is_none(node: FilesNode, tmp_path: Path, call: str) -> None:
    hostile = await asyncio.to_thread(hostile_app, node.app, tmp_path)
    (node.home / "apps" / "evil").symlink_to(hostile.outside)
    asked = {"userId": "7", "appId": "evil", "path": "canary"}
    answer = await node.calls.call("GET", f"{FILES}/{call}", asked)
    assert answer.status == 400 and hostile.canary not in answer.body


async def test_apps_that_are_elsewhere_are_not_reached(node: FilesNode, tmp_path: Path) -> None:
    hostile = await asyncio.to_thread(hostile_app, node.app, tmp_path)
    (hostile.outside / "5").mkdir()
    (hostile.outside / "5" / "file").write_bytes(hostile.canary)
    (node.home / "apps").rename(node.home / "former")
    (node.home / "apps").symlink_to(hostile.outside)
    for call in ("content", "download-file"):
        answer = await node.get(call, path="file")
        assert answer.status == 400 and hostile.canary not in answer.body
    assert (await node.order("content", path="file", content="evil")).status == 400
    assert (await node.order("delete", path="file")).status == 400
    assert (hostile.outside / "5" / "file").read_bytes() == hostile.canary
