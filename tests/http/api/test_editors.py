"""What an editor is told when it opens an app, and what stands in the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from daemons.api.domain.forwarding import PREFIX
from daemons.api.ports import PlaneUnreachable
from protocol.client.api import bearer
from protocol.headers import WORKSPACE_FENCE
from protocol.workspace_files import NodeType, TreeNode, TreeView
from tests.http.api.conftest import OWNER, Api
from tests.http.api.test_forwarding import heard
from tests.support.eventually import eventually
from tests.support.workspace_calls import FilesNode, files_node

OPEN = "/api/fun-ai/app/open-editor"


async def opened(api: Api, app_id: str) -> httpx.Response:
    return await api.raw.post(f"{OPEN}?appId={app_id}", headers=bearer(OWNER))


async def own_app(api: Api) -> str:
    return str((await api.owner.create_app()).id)


@pytest.fixture
async def node(api: Api, tmp_path: Path) -> AsyncIterator[FilesNode]:
    async with files_node(tmp_path) as node:
        await heard(api, node.calls.url)
        yield node


class Staged:
    """A node that answers as a test tells it to."""

    def __init__(self) -> None:
        self.ensured: Callable[[], web.Response] = folder
        self.trees: list[TreeView] = []
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        if request.path.endswith("/ensure-dir"):
            return self.ensured()
        if request.path.endswith("/tree"):
            tree = self.trees.pop(0)
            return web.json_response({"code": 200, "message": "ok", "data": tree.to_data()})
        return web.Response(status=404)


@pytest.fixture
async def staged(api: Api) -> AsyncIterator[Staged]:
    staged, app = Staged(), web.Application()
    app.router.add_route("*", "/{any:.*}", staged.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await heard(api, f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield staged
    await runner.cleanup()


def said(status: int, message: str, reason: str) -> web.Response:
    return web.json_response({"code": status, "message": message, "data": None, "reason": reason}, status=status)


def tree(*names: str, truncated: bool = False, link: bool = False) -> TreeView:
    nodes = tuple(
        TreeNode(name=name, path=name, type=NodeType.FILE, size=1, last_modified_ms=1, link=link) for name in names
    )
    return TreeView(
        user_id="1", app_id="20001", root_path="", max_depth=2, max_entries=2000, nodes=nodes, truncated=truncated
    )


def folder() -> web.Response:
    data = {
        "userId": "1",
        "appId": "20001",
        "hostAppDir": "/srv/1/apps/20001",
        "containerAppDir": "/workspace/apps/20001",
    }
    return web.json_response({"code": 200, "message": "ok", "data": data})


def moving() -> web.Response:
    return web.Response(status=409, headers={WORKSPACE_FENCE: "moving"})


async def test_the_folder_is_there_and_a_node_that_tells_of_no_run_keeps_nobody_from_files(
    api: Api, node: FilesNode
) -> None:
    app_id = await own_app(api)
    told = (await opened(api, app_id)).json()["data"]
    assert told["projectDir"] == f"/workspace/apps/{app_id}"
    assert (told["hasPackageJson"], told["runStatus"], told["app"]["appName"]) == (False, None, "Untitled app 1")
    assert "does not say what runs" in told["message"]
    assert node.ensure.users == ["1"]
    assert (node.homes.root / "1/apps" / app_id).is_dir()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("package.json", True),
        ("web/package.json", True),
        ("a/b/package.json", False),
        ("node_modules/package.json", False),
        ("package.json/x", False),
        ("package.json5", False),
    ],
)
async def test_a_package_is_looked_for_two_folders_deep(api: Api, node: FilesNode, path: str, found: bool) -> None:
    app_id = await own_app(api)
    await opened(api, app_id)
    body = {"appId": app_id, "path": path, "content": "{}"}
    assert (await api.raw.post(f"{PREFIX}/files/content", json=body, headers=bearer(OWNER))).is_success
    assert (await opened(api, app_id)).json()["data"]["hasPackageJson"] is found


async def test_full_folders_do_not_hide_the_package_beside_them(api: Api, staged: Staged) -> None:
    staged.trees = [tree("a", truncated=True), tree("package.json")]
    assert (await opened(api, await own_app(api))).json()["data"]["hasPackageJson"] is True
    assert "maxDepth=2" in staged.asked[1] and "maxDepth=1" in staged.asked[2]


async def test_a_link_is_no_package(api: Api, staged: Staged) -> None:
    staged.trees = [tree("package.json", link=True)]
    assert (await opened(api, await own_app(api))).json()["data"]["hasPackageJson"] is False


async def test_what_the_node_refuses_is_passed_on_with_its_reason(api: Api, staged: Staged) -> None:
    app_id = await own_app(api)
    staged.ensured = partial(said, 507, "your disk is full", "disk_full")
    answer = await opened(api, app_id)
    assert (answer.status_code, answer.json()["reason"], answer.json()["message"]) == (
        507,
        "disk_full",
        "your disk is full",
    )
    staged.ensured = partial(said, 500, "the words of a crash", "internal")
    assert (await opened(api, app_id)).status_code == 502
    staged.ensured = partial(web.Response, text="<html>")
    answer = await opened(api, app_id)
    assert (answer.status_code, "nobody understands" in answer.json()["message"]) == (502, True)


async def test_a_workspace_on_its_way_is_looked_for_again(api: Api, staged: Staged) -> None:
    staged.trees, staged.ensured = [tree()], moving
    app_id = await own_app(api)

    async def refused_twice() -> bool:
        return len(staged.asked) > 1

    async def arrives() -> None:
        await eventually(refused_twice)
        staged.ensured = folder

    answer, _ = await asyncio.gather(opened(api, app_id), arrives())
    assert (answer.status_code, answer.json()["data"]["projectDir"]) == (200, "/workspace/apps/20001")


async def test_an_editor_opens_while_the_control_plane_rests(api: Api, node: FilesNode) -> None:
    app_id = await own_app(api)
    api.plane.failing = PlaneUnreachable("away")
    answer = await opened(api, app_id)
    assert (answer.status_code, answer.json()["data"]["app"]) == (200, None)
    assert "deployments" in answer.json()["data"]["message"]


async def test_who_cannot_be_asked_is_said(api: Api) -> None:
    app_id = await own_app(api)
    assert (await opened(api, app_id)).status_code == 503
    await heard(api, "http://127.0.0.1:1")
    answer = await opened(api, app_id)
    assert (answer.status_code, answer.json()["reason"]) == (502, "peer_failed")
    assert (await opened(api, "99999")).status_code == 404
