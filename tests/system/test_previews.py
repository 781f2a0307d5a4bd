"""Previews as visitors see them: each gateway with the platform's configuration, a real node, real containers."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, workspace_node
from tests.support.entries import PAGES
from tests.support.preview_projects import node_server, put
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real
_IMAGE = "funai-test-node:1"


@dataclass
class World:
    """A node, its gateway, and a visitor's client that keeps no cookies."""

    node: Node
    gateway: str
    visitor: httpx.AsyncClient

    async def preview(self, app_id: str, files: dict[str, str] | Path) -> str:
        """Begin the preview of a new user's app; who it is."""
        user = new_user()
        async with self.node.client(user) as client:
            await client.ensure()
            await asyncio.to_thread(put, self.node, user, app_id, files)
            await client.run(RunType.START, app_id)
        return user


@pytest.fixture(scope="module")
def image(docker_url: str) -> str:
    """What workspaces are made of."""
    node_image.build(docker_url, _IMAGE)
    return _IMAGE


@pytest.fixture(params=preview_gateway.GATEWAYS)
async def world(docker_url: str, image: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_IMAGE": image, "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "10"}
    async with (
        workspace_node.node(docker_url, tmp_path / "node", **settings) as node,
        preview_gateway.GATEWAYS[request.param](node.url, tmp_path / "gateway") as gateway,
        httpx.AsyncClient(base_url=gateway, timeout=60) as visitor,
    ):
        yield World(node, gateway, visitor)


async def test_a_server_that_knows_nothing_of_its_path(world: World) -> None:
    user = await world.preview("app1", node_server())
    visitor, at = world.visitor, "/preview/app1"
    page = await visitor.get(at, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (308, f"{at}/")
    page = await visitor.get(f"{at}/")
    assert page.status_code == 200
    assert page.headers.get_list("set-cookie") == [
        "a=1; Path=/preview/app1/",
        "b=2",
        "ws_appid=app1; Path=/; SameSite=Lax; HttpOnly",
    ]
    await _what_reaches_it(visitor, at)
    await _where_it_sends(visitor, at)
    await _what_it_answers(visitor, at)
    await _rescued(world, at)
    told = (await visitor.get(f"/ws/{user}/whatever")).json()
    assert (told["url"], told["headers"]["x-forwarded-prefix"]) == ("/whatever", at)


async def _what_reaches_it(visitor: httpx.AsyncClient, at: str) -> None:
    sent = {
        "Cookie": "mine=1; ws_appid=app1; funai_preview=secret; yours=2",
        "X-WS-Token": "guess",
        "X-Forwarded-For": "9.9.9.9",
    }
    told = (await visitor.get(f"{at}/a%2Fb/c%20d?x=%2F&y=1", headers=sent)).json()
    assert told["url"] == "/a%2Fb/c%20d?x=%2F&y=1"
    got = told["headers"]
    assert (got["cookie"], got["x-forwarded-for"]) == ("mine=1; yours=2", "127.0.0.1")
    assert "x-ws-token" not in got
    told = (await visitor.get(f"{at}/x", headers={"Cookie": "ws_appid=app1"})).json()
    assert "cookie" not in told["headers"]


async def _where_it_sends(visitor: httpx.AsyncClient, at: str) -> None:
    answer = await visitor.get(f"{at}/login")
    assert answer.headers["location"] == f"{at}/welcome?from=login"
    assert set(answer.headers["set-cookie"].split("; ")) == {"sid=7", "HttpOnly", f"Path={at}/"}
    assert (await visitor.get(f"{at}/absolute")).headers["location"] == f"{at}/welcome"
    assert (await visitor.get(f"{at}/away")).headers["location"] == "https://elsewhere.example/welcome"


async def _what_it_answers(visitor: httpx.AsyncClient, at: str) -> None:
    assert [(await visitor.get(f"{at}/{path}")).status_code for path in ("broken", "gone")] == [500, 404]
    data = bytes(range(256)) * 40_000
    answer = await visitor.post(f"{at}/upload", content=data)
    assert answer.text == hashlib.sha256(data).hexdigest()
    async with visitor.stream("GET", f"{at}/events", headers={"Accept": "text/event-stream"}) as events:
        assert await anext(events.aiter_lines()) == "data: first"


async def _rescued(world: World, at: str) -> None:
    """What a page asks for from the root is found by where the page is, or by the cookie."""
    visitor, referer = world.visitor, {"Referer": f"{world.gateway}{at}/page?ids=1,2"}
    answer = await visitor.get("/style.css?v=1", headers=referer)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{at}/style.css?v=1")
    answer = await visitor.post("/form", headers={"Cookie": "ws_appid=app1"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{at}/form")
    for typed in ({"Sec-Fetch-Mode": "navigate"}, {"Accept": "text/html,*/*"}):
        assert (await visitor.get("/", headers={"Cookie": "ws_appid=app1", **typed})).status_code == 404
    assert (await visitor.get("/api/x", headers=referer)).headers["location"] == f"{at}/api/x"
    assert (await visitor.get("/api/x", headers={"Cookie": "ws_appid=app1"})).status_code == 404
    assert (await visitor.get("/api/fun-ai/x", headers=referer)).status_code == 404
    # The platform's own pages get tokens of operators: no file of a preview takes the place of one of theirs.
    for path in PAGES:
        assert (await visitor.get(path, headers={**referer, "Cookie": "ws_appid=app1"})).status_code == 404, path
    cookie = {"Cookie": "ws_appid=app1; mine=3"}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{world.gateway}/socket?x=1", headers=cookie) as socket:
            assert await socket.receive_str() == "/socket?x=1 mine=3"
        async with session.ws_connect(f"{world.gateway}{at}/socket") as socket:
            assert await socket.receive_str() == "/socket -"


async def test_a_visit_wakes_and_says_what_it_waits_for(world: World) -> None:
    user = await world.preview("app2", node_server())
    workspaces, visitor = world.node.services.workspaces, world.visitor
    assert (await visitor.get("/preview/app2/x")).json()["text"] == "first"
    await preview_gateway.forgotten()
    assert await workspaces.freeze(user)
    assert (await visitor.get("/preview/app2/x")).json()["text"] == "first"
    await preview_gateway.forgotten()
    assert await workspaces.stop(user)
    assert (await visitor.get("/preview/app2/x")).json()["text"] == "first"


async def test_nothing_is_served_and_not_yet(world: World) -> None:
    visitor = world.visitor
    answer = await visitor.get("/preview/nobodys/x")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    assert "No preview" in answer.text
    answer = await visitor.get("/preview/nobodys/x", headers={"Accept": "application/json"})
    assert (answer.headers["content-type"], answer.json()["reason"]) == ("application/json", "app_unserved")
    package = '{"name": "slow", "scripts": {"dev": "sleep 1000"}}'
    await world.preview("app3", {"package.json": package, "node_modules/.keep": ""})
    answer = await visitor.get("/preview/app3/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "is starting" in answer.text
