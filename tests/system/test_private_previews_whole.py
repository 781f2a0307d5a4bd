"""A private preview as people come by it: its owner through the API, visitors with browsers through each gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Refused, Transport
from protocol.client.workspace import WorkspaceClient
from protocol.workspace_previews import Visibility
from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, real, workspace_node
from tests.support.eventually import eventually
from tests.support.later import Later
from tests.support.preview_projects import node_server, put
from tests.support.served_api import hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
_IMAGE = "funai-test-node:1"
_TOKENS = ("token-of-the-owner-01234", "token-of-another-0123456")
_PREFIX = "/api/fun-ai/workspace/preview"
_HOUR = 3600.0


@dataclass
class Browser:
    """Somebody with cookies of their own."""

    client: httpx.AsyncClient

    @property
    def passes(self) -> list[Cookie]:
        """What they carry of previews."""
        return [cookie for cookie in self.client.cookies.jar if cookie.name == "funai_preview"]

    async def sees(self, address: str) -> bool:
        """Whether they get the app's page, else they are told that it is private and get no way in."""
        answer = await self.client.get(address)
        if answer.status_code == 200:
            assert "<title>one</title>" in answer.text
            return True
        assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store"), answer.text
        assert "This preview is private" in answer.text and "<title>one</title>" not in answer.text
        assert "set-cookie" not in answer.headers
        return False


@dataclass
class Shown:
    """Two apps of an owner, of whom one is private and served, and a door that anybody may come to."""

    node: Node
    gateway: str
    owner: WorkspaceClient
    another: WorkspaceClient
    app_id: str
    other_app_id: str
    stack: AsyncExitStack

    @property
    def address(self) -> str:
        """Of the private one."""
        return f"{self.gateway}/preview/{self.app_id}/"

    async def browser(self) -> Browser:
        """Somebody who comes for the first time."""
        client = httpx.AsyncClient(timeout=60, trust_env=False, follow_redirects=True)
        return Browser(await self.stack.enter_async_context(client))

    async def invited(self) -> Browser:
        """Somebody who opened a link that the owner gave them."""
        visitor = await self.browser()
        link = await self.owner.preview_link(self.app_id)
        opened = await visitor.client.get(link.url)
        assert (opened.status_code, str(opened.url)) == (200, self.address)
        assert "<title>one</title>" in opened.text
        return visitor


@pytest.fixture(params=preview_gateway.GATEWAYS)
async def shown(docker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Shown]:
    await asyncio.to_thread(node_image.build, docker_url, _IMAGE)
    users, port = (new_user(), new_user()), real.free_port()
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_IMAGE": _IMAGE, "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "10"}
    async with AsyncExitStack() as stack:
        come = stack.enter_async_context
        serve = preview_gateway.GATEWAYS[request.param]
        gateway = await come(serve(f"http://127.0.0.1:{port}", tmp_path / "gateway"))
        settings["FUNAI_WORKSPACE_PREVIEWBASEURL"] = gateway
        node = await come(workspace_node.node(docker_url, tmp_path / "node", port=port, **settings))
        tokens = {int(user): token for user, token in zip(users, _TOKENS, strict=True)}
        api = await come(served_api(tmp_path, SECRET, tokens))
        await hear(api, node.url)
        mine, theirs = [await come(Transport(api, bearer(token))) for token in _TOKENS]
        owner, another = WorkspaceClient(mine, users[0]), WorkspaceClient(theirs, users[1])
        await owner.ensure()
        first, second = [str((await ApiClient(mine).create_app()).id) for _ in range(2)]
        for app_id in (first, second):
            await asyncio.to_thread(put, node, users[0], app_id, node_server())
        await owner.run(RunType.START, first)
        found = Shown(node, gateway, owner, another, first, second, stack)
        for app_id in (first, second):
            told = await owner.show_preview(app_id, Visibility.PRIVATE)
            assert (told.app_id, told.visibility) == (app_id, Visibility.PRIVATE)
        yield found


async def test_who_opens_the_owners_link_sees_it_and_nobody_else(shown: Shown) -> None:
    stranger = await shown.browser()
    assert not await stranger.sees(shown.address)
    visitor = await shown.invited()
    # What they carry is this app's alone: no other path of the origin gets it.
    (carried,) = visitor.passes
    assert (carried.path, carried.domain_specified) == (f"/preview/{shown.app_id}/", False)
    assert carried.has_nonstandard_attr("HttpOnly")
    assert await visitor.sees(shown.address)
    assert (await visitor.client.get(f"{shown.address}script.js")).text == "document.title = 'two'"
    told = (await visitor.client.get(f"{shown.address}whatever")).json()
    assert carried.value is not None and carried.value not in str(told)
    # Nor does it open another app of the same owner, when somebody puts it there by hand.
    other = f"{shown.gateway}/preview/{shown.other_app_id}/"
    await shown.owner.run(RunType.START, shown.other_app_id)
    forged = await stranger.client.get(other, headers={"Cookie": f"funai_preview={carried.value}"})
    assert (forged.status_code, "set-cookie" in forged.headers) == (401, False)
    assert not await visitor.sees(other)


async def test_a_link_that_was_used_is_of_no_use_to_a_stranger(shown: Shown) -> None:
    link = (await shown.owner.preview_link(shown.app_id)).url
    assert (await (await shown.browser()).client.get(link)).status_code == 200
    stranger = await shown.browser()
    refused = await stranger.client.get(link)
    assert (refused.status_code, stranger.passes) == (401, [])
    assert not await stranger.sees(shown.address)


async def test_a_stranger_gets_no_link_of_the_api(shown: Shown) -> None:
    another, app_id = shown.another, shown.app_id
    for asked in (
        another.preview_link(app_id),
        another.revoke_preview(app_id),
        another.preview_access(app_id),
        another.show_preview(app_id, Visibility.PUBLIC),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.status in (403, 404)
    async with httpx.AsyncClient(base_url=shown.owner.transport.base_url, trust_env=False) as nobody:
        for order in ("link", "revoke", "access"):
            answer = await nobody.post(f"{_PREFIX}/{order}", params={"appId": shown.app_id})
            assert answer.status_code == 401, order
    assert (await shown.owner.preview_access(shown.app_id)).visibility is Visibility.PRIVATE
    assert not await (await shown.browser()).sees(shown.address)


async def test_a_pass_ends_after_its_time(shown: Shown) -> None:
    visitor = await shown.invited()
    (carried,) = visitor.passes
    admission = shown.node.services.admission
    admission._clock = Later(admission._clock, _HOUR + 60)
    await preview_gateway.forgotten()
    # The browser would have thrown it away; what was copied out of it is worth nothing either.
    assert not await visitor.sees(shown.address)
    late = await (await shown.browser()).client.get(shown.address, headers={"Cookie": f"funai_preview={carried.value}"})
    assert late.status_code == 401
    assert await (await shown.invited()).sees(shown.address)


async def test_revoking_lets_nobody_in_who_came_before(shown: Shown) -> None:
    visitors = [await shown.invited() for _ in range(2)]
    unused = (await shown.owner.preview_link(shown.app_id)).url
    before = (await shown.owner.preview_access(shown.app_id)).generation
    assert (await shown.owner.revoke_preview(shown.app_id)).generation == before + 1
    # No new way in is opened from now on; what a gateway knows already it forgets within a second or two.
    assert (await (await shown.browser()).client.get(unused)).status_code == 401
    for visitor in visitors:

        async def out(visitor: Browser = visitor) -> bool:
            return not await visitor.sees(shown.address)

        await eventually(out)
    assert await (await shown.invited()).sees(shown.address)


async def test_who_makes_it_public_again_needs_no_links(shown: Shown) -> None:
    stranger = await shown.browser()
    assert not await stranger.sees(shown.address)
    await shown.owner.show_preview(shown.app_id, Visibility.PUBLIC)
    await eventually(lambda: stranger.sees(shown.address))
    assert (await shown.owner.preview_link(shown.app_id)).url == shown.address
    await shown.owner.show_preview(shown.app_id, Visibility.PRIVATE)

    async def out() -> bool:
        return not await stranger.sees(shown.address)

    await eventually(out)
