"""Previews that are private: who is let in, what wakes, and what the user's server gets to see, by each gateway."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from daemons.workspace.domain.workspaces import Phase
from protocol.client.workspace import WorkspaceClient
from protocol.workspace_previews import Visibility
from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, workspace_node
from tests.support.later import Later
from tests.support.preview_projects import node_server, put
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real
_IMAGE = "funai-test-node:1"
_AT = "/preview/secret"
_NONE = DefaultCookiePolicy(allowed_domains=[])


@dataclass
class Private:
    """A private preview with its owner, its gateway, and a visitor whose client keeps no cookies."""

    node: Node
    user: str
    owner: WorkspaceClient
    gateway: str
    visitor: httpx.AsyncClient

    async def passed(self) -> str:
        """The cookie of somebody who opened a new link."""
        link = httpx.URL((await self.owner.preview_link("secret")).url)
        answer = await self.visitor.get(link.raw_path.decode())
        assert (answer.status_code, answer.headers["location"]) == (303, f"{_AT}/")
        assert answer.headers["cache-control"] == "no-store"
        (given,) = answer.headers.get_list("set-cookie")
        pair, *attributes = given.split(";")
        assert attributes == [f"Path={_AT}/", "Max-Age=3600", "HttpOnly", "SameSite=Lax"]
        return pair

    async def seen(self, cookie: str, path: str = "x") -> httpx.Response:
        """What somebody with these cookies gets."""
        return await self.visitor.get(f"{_AT}/{path}", headers={"Cookie": cookie} if cookie else {})

    async def refused(self, cookie: str) -> None:
        """They are told that it is private, in the form that they asked for, and nothing else."""
        answer = await self.seen(cookie)
        assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store"), answer.text
        assert "This preview is private" in answer.text
        assert "set-cookie" not in answer.headers
        document = await self.visitor.get(f"{_AT}/x", headers={"Cookie": cookie, "Accept": "application/json"})
        assert (document.status_code, document.json()["reason"]) == (401, "app_private")
        assert document.headers["content-type"] == "application/json"


@pytest.fixture(params=preview_gateway.GATEWAYS)
async def private(docker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Private]:
    await asyncio.to_thread(node_image.build, docker_url, _IMAGE)
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_IMAGE": _IMAGE, "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "10"}
    user = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path / "node", **settings) as node,
        preview_gateway.GATEWAYS[request.param](node.url, tmp_path / "gateway") as gateway,
        httpx.AsyncClient(base_url=gateway, timeout=60, cookies=CookieJar(_NONE)) as visitor,
        node.client(user) as owner,
    ):
        await owner.ensure()
        await asyncio.to_thread(put, node, user, "secret", node_server())
        await owner.run(RunType.START, "secret")
        assert (await owner.show_preview("secret", Visibility.PRIVATE)).visibility is Visibility.PRIVATE
        yield Private(node, user, owner, gateway, visitor)


async def test_only_who_came_by_a_link_gets_in(private: Private) -> None:
    for stranger in ("", "funai_preview=", "funai_preview=7.secret.2.1.9999999999." + "a" * 43, "mine=1"):
        await private.refused(stranger)
    mine = await private.passed()
    told = (await private.seen(f"yours=2; {mine}; mine=1")).json()
    assert told["headers"]["cookie"] == "yours=2; mine=1"
    assert mine.partition("=")[2] not in str(told)
    # What is known of one visitor is not known of the next.
    await private.refused("")
    assert (await private.seen(mine, "script.js")).status_code == 200
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{private.gateway}{_AT}/socket", headers={"Cookie": mine}) as socket:
            assert await socket.receive_str() == "/socket -"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await session.ws_connect(f"{private.gateway}{_AT}/socket")
        assert refusal.value.status == 401
    assert (await private.visitor.get(f"/ws/{private.user}/x")).status_code == 401


async def test_a_link_is_good_once(private: Private) -> None:
    link = httpx.URL((await private.owner.preview_link("secret")).url).raw_path.decode()
    assert (await private.visitor.head(link)).status_code == 401
    assert (await private.visitor.get(link.replace("secret", "other"))).status_code == 401
    assert (await private.visitor.get(link)).status_code == 303
    for used in (link, f"{_AT}/.funai/enter", f"{_AT}/.funai/enter?ticket=guess", f"{_AT}/.funai/enter?ticket=%0a"):
        answer = await private.visitor.get(used)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert "This preview is private" in answer.text


async def test_strangers_wake_nothing(private: Private) -> None:
    workspaces, mine = private.node.services.workspaces, await private.passed()
    assert (await private.seen(mine)).status_code == 200
    await preview_gateway.forgotten()
    assert await workspaces.freeze(private.user)
    used = workspaces.find(private.user)
    await private.refused("")
    await private.refused("funai_preview=guess")
    assert workspaces.find(private.user) == used
    assert used is not None
    assert used.phase is Phase.FROZEN
    assert (await private.seen(mine)).json()["text"] == "first"


async def test_a_new_generation_ends_all_passes(private: Private) -> None:
    mine = await private.passed()
    assert (await private.seen(mine)).status_code == 200
    await private.owner.revoke_preview("secret")
    await preview_gateway.forgotten()
    await private.refused(mine)
    assert (await private.seen(await private.passed())).status_code == 200
    await private.owner.show_preview("secret", Visibility.PUBLIC)
    await preview_gateway.forgotten()
    assert (await private.seen("")).status_code == 200
    assert (await private.owner.preview_link("secret")).url.endswith(f"{_AT}/")


async def test_a_pass_is_renewed_with_the_answers(private: Private) -> None:
    """The server's own cookies stay what they are."""
    admission, mine = private.node.services.admission, await private.passed()
    admission._clock = Later(admission._clock, 3000)
    answer = await private.seen(mine, "")
    given = [cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith("funai_preview=")]
    assert len(answer.headers.get_list("set-cookie")) == 4
    assert len(given) == 1
    renewed = given[0].partition(";")[0]
    assert given[0] == f"{renewed};Path={_AT}/;Max-Age=3600;HttpOnly;SameSite=Lax"
    assert renewed != mine
    admission._clock = Later(admission._clock, 1000)
    await preview_gateway.forgotten()
    await private.refused(mine)
    assert (await private.seen(renewed)).status_code == 200
