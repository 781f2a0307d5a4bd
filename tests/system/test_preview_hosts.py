"""Previews on hosts of their own: nothing that a user wrote is seen on the platform's host."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from daemons.kit.gateway_hosts import OwnHosts
from protocol.workspace_previews import Visibility
from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, workspace_node
from tests.support.preview_projects import node_server, put
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real
_IMAGE = "funai-test-node:1"
_OWN = "http://preview.test:8443"
_HOST = "app9.preview.test:8443"
_NONE = DefaultCookiePolicy(allowed_domains=[])


@dataclass
class Hosted:
    """An app that is previewed at `_HOST`, and a client that keeps no cookies."""

    node: Node
    user: str
    gateway: str
    visitor: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """What a visitor of the app's own host is answered."""
        return await self.visitor.get(path, headers={"Host": _HOST, **headers})


@pytest.fixture(params=preview_gateway.GATEWAYS)
async def hosted(docker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    await asyncio.to_thread(node_image.build, docker_url, _IMAGE)
    settings: dict[str, Any] = {
        "FUNAI_WORKSPACE_IMAGE": _IMAGE,
        "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "10",
        "FUNAI_WORKSPACE_PREVIEWHOSTURL": _OWN,
    }
    user, serve = new_user(), preview_gateway.GATEWAYS[request.param]
    async with (
        workspace_node.node(docker_url, tmp_path / "node", **settings) as node,
        serve(node.url, tmp_path / "gateway", own=OwnHosts.of(_OWN)) as gateway,
        httpx.AsyncClient(base_url=gateway, timeout=60, cookies=CookieJar(_NONE)) as visitor,
        node.client(user) as owner,
    ):
        await owner.ensure()
        await asyncio.to_thread(put, node, user, "app9", node_server())
        await owner.run(RunType.START, "app9")
        yield Hosted(node, user, gateway, visitor)


async def test_a_preview_has_its_host_for_itself(hosted: Hosted) -> None:
    page = await hosted.get("/")
    assert page.status_code == 200
    # Its cookies are as the server says, but for other hosts.
    assert page.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    for path in (
        "/a%2Fb/c%20d?x=%2F&y=1",
        "/preview/app1/x",
        "/runtime/1/",
        "/apps/1",
        "/preview/app9",
        "/ws/7/x",
        "/x?",
    ):
        told = (await hosted.get(path, Cookie="mine=1; funai_preview=x")).json()
        assert told["url"] == path
        assert told["headers"]["cookie"] == "mine=1"
        assert told["headers"]["host"] == told["headers"]["x-forwarded-host"] == _HOST
        assert "x-forwarded-prefix" not in told["headers"]
    assert (await hosted.get("/login")).headers["location"] == "/welcome?from=login"
    assert (await hosted.get("/absolute")).headers["location"] == f"http://{_HOST}/welcome"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{hosted.gateway}/socket?x=1", headers={"Host": _HOST}) as socket,
    ):
        assert await socket.receive_str() == "/socket?x=1 -"


async def test_the_platforms_host_shows_none_of_it(hosted: Hosted) -> None:
    at = f"http://{_HOST}"
    for path, to in [
        ("/preview/app9", f"{at}/"),
        ("/preview/app9/", f"{at}/"),
        ("/preview/app9/a%2Fb?c=d", f"{at}/a%2Fb?c=d"),
    ]:
        answer = await hosted.visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, to)
    assert (await hosted.visitor.get(f"/ws/{hosted.user}/x")).status_code == 404
    assert (await hosted.visitor.get("/style.css", headers={"Cookie": "ws_appid=app9"})).status_code in (307, 404)
    for host in ("preview.test", "x.app9.preview.test", "app9.preview.test.evil.example", "app9xpreview.test", "app9"):
        answer = await hosted.visitor.get("/x", headers={"Host": host})
        assert answer.status_code == 404, host
    answer = await hosted.visitor.get("/x", headers={"Host": "nobodys.preview.test"})
    assert (answer.status_code, "No preview" in answer.text) == (404, True)


async def test_a_private_one_gives_its_pass_to_its_host_alone(hosted: Hosted) -> None:
    async with hosted.node.client(hosted.user) as owner:
        await owner.show_preview("app9", Visibility.PRIVATE)
        link = httpx.URL((await owner.preview_link("app9")).url)
    assert f"{link.scheme}://{link.netloc.decode()}" == f"http://{_HOST}"
    assert (await hosted.get("/x")).status_code == 401
    answer = await hosted.get(link.raw_path.decode())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    (given,) = answer.headers.get_list("set-cookie")
    mine, *attributes = given.split(";")
    assert attributes == ["Path=/", "Max-Age=3600", "HttpOnly", "SameSite=Lax"]
    told = (await hosted.get("/x", Cookie=mine)).json()
    assert "cookie" not in told["headers"]
    # Hot reload of servers that know nothing of a path.
    async with aiohttp.ClientSession() as session:
        headers = {"Host": _HOST, "Cookie": mine}
        async with session.ws_connect(f"{hosted.gateway}/socket", headers=headers) as socket:
            assert await socket.receive_str() == "/socket -"
    assert (await hosted.get("/x")).status_code == 401
