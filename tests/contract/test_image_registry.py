"""The port `ImageRegistry`: one suite over the twin, a real registry, and Harbor's contract as it was recorded."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemons.deploy.adapters.harbor import HarborRegistry
from daemons.deploy.adapters.registry import OciRegistry
from daemons.deploy.domain.images import PushedImage
from daemons.deploy.ports import ImageRegistry, RegistryFailed
from tests.support.harbor import HarborTwin, harbor
from tests.support.registries import LOGIN, RegistryTwin, push

ABSENT = "sha256:" + "0" * 64
Put = Callable[[str, str, str], Awaitable[str]]


@dataclass
class Bench:
    """A registry, a way to push to it, and a repository of this test's own."""

    registry: ImageRegistry
    put: Put
    repository: str
    lists: bool = True


@pytest.fixture(params=["twin", "harbor", pytest.param("real", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    repository, twin = f"reg{uuid4().hex[:8]}/{request.param}/u1-app1", RegistryTwin()
    async with AsyncExitStack() as stack:
        if request.param == "twin":
            yield Bench(twin, twin.put, repository)
        elif request.param == "harbor":
            url = await stack.enter_async_context(harbor(HarborTwin(twin)))
            yield Bench(HarborRegistry(url, LOGIN, 5), twin.put, repository)
        else:
            host: str = request.getfixturevalue("registry_host")

            async def put(repository: str, tag: str, text: str) -> str:
                return await push(host, repository, tag, text)

            yield Bench(OciRegistry(f"http://{host}", None, 5), put, repository, lists=False)


async def test_what_was_pushed_is_there_until_it_is_deleted(bench: Bench) -> None:
    first = await bench.put(bench.repository, "aaaaaaa-1", "one")
    second = await bench.put(bench.repository, "bbbbbbb-2", "two")
    assert await bench.registry.has(bench.repository, first)
    await bench.registry.delete(bench.repository, first)
    assert not await bench.registry.has(bench.repository, first)
    assert await bench.registry.has(bench.repository, second)


async def test_a_tag_that_moved_on_is_not_taken_along(bench: Bench) -> None:
    old = await bench.put(bench.repository, "latest", "one")
    new = await bench.put(bench.repository, "latest", "two")
    await bench.registry.delete(bench.repository, old)
    assert await bench.registry.has(bench.repository, new)


async def test_what_is_absent_is_deleted_already(bench: Bench) -> None:
    await bench.put(bench.repository, "aaaaaaa-1", "one")
    for repository in (bench.repository, f"{bench.repository}-nobody"):
        assert not await bench.registry.has(repository, ABSENT)
        await bench.registry.delete(repository, ABSENT)
    await bench.registry.delete_repository(f"{bench.repository}-nobody")


async def test_a_repository_goes_with_all_its_images_and_no_other_does(bench: Bench) -> None:
    other = f"{bench.repository}0"
    digests = [await bench.put(bench.repository, f"aaaaaaa-{number}", f"text {number}") for number in range(3)]
    kept = await bench.put(other, "aaaaaaa-1", "text 1")
    await bench.registry.delete_repository(bench.repository)
    assert [await bench.registry.has(bench.repository, digest) for digest in digests] == [False] * 3
    assert await bench.registry.has(other, kept)
    again = await bench.put(bench.repository, "aaaaaaa-9", "after")
    assert await bench.registry.has(bench.repository, again)


async def test_pushes_are_listed_newest_first_where_a_registry_tells_them(bench: Bench) -> None:
    digests = [await bench.put(bench.repository, tag, text) for tag, text in (("a", "1"), ("b", "2"), ("b", "3"))]
    listed = await bench.registry.pushed(bench.repository)
    there = [PushedImage(digests[2], ("b",)), PushedImage(digests[1]), PushedImage(digests[0], ("a",))]
    assert list(listed) == (there if bench.lists else [])
    assert list(await bench.registry.pushed(f"{bench.repository}-nobody")) == []


async def test_every_page_of_harbor_is_read() -> None:
    twin = HarborTwin(per_page=2)
    digests = [await twin.images.put("funaistudio/deep/u1-app1", f"t{number}", str(number)) for number in range(5)]
    async with harbor(twin) as url:
        listed = await HarborRegistry(url, LOGIN, 5).pushed("funaistudio/deep/u1-app1")
    assert [image.digest for image in listed] == digests[::-1] and twin.calls == ["artifacts"] * 3


async def test_a_next_page_at_another_address_gets_no_account() -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        return web.json_response([], headers={"Link": '<http://127.0.0.1:9/api/v2.0/x>; rel="next"'})

    app = web.Application()
    app.router.add_get("/{anything:.*}", elsewhere)
    async with TestServer(app) as server:
        with pytest.raises(RegistryFailed, match="another address"):
            await HarborRegistry(str(server.make_url("")), LOGIN, 5).pushed("a/b")


async def test_what_the_recorded_contract_does_not_have_is_refused() -> None:
    twin = HarborTwin()
    with pytest.raises(AssertionError, match="does not have"):
        async with harbor(twin) as url, httpx.AsyncClient(base_url=url, auth=LOGIN) as client:
            assert (await client.get("/api/v2.0/projects/p/repositories/a/artifacts?page=1")).status_code == 501
            assert (await client.delete("/api/v2.0/projects/p")).status_code == 501


async def test_a_wrong_login_and_a_rule_of_harbor_are_told_in_words() -> None:
    twin = HarborTwin()
    digest = await twin.images.put("funaistudio/u1-app1", "protected", "one")
    async with harbor(twin) as url:
        for login in (None, ("robot-of-tests", "wrong")):
            with pytest.raises(RegistryFailed, match=r"HTTP 401.*DEPLOY_REGISTRY_CLEANUP_USERNAME") as caught:
                await HarborRegistry(url, login, 5).delete("funaistudio/u1-app1", digest)
            assert "wrong" not in str(caught.value)
        with pytest.raises(RegistryFailed, match=r"HTTP 412.*in the words of Harbor"):
            await HarborRegistry(url, LOGIN, 5).delete("funaistudio/u1-app1", digest)
    assert await twin.images.has("funaistudio/u1-app1", digest)


@pytest.mark.parametrize("kind", [OciRegistry, HarborRegistry])
async def test_a_registry_that_is_not_there_has_failed(kind: type[OciRegistry] | type[HarborRegistry]) -> None:
    registry = kind("http://127.0.0.1:9", LOGIN, 1)
    for call in (registry.has("a/b", ABSENT), registry.delete("a/b", ABSENT)):
        with pytest.raises(RegistryFailed, match="does not answer"):
            await call
    with pytest.raises(RegistryFailed, match="does not answer"):
        await registry.delete_repository("a/b")


@pytest.mark.parametrize("kind", [OciRegistry, HarborRegistry])
async def test_a_registry_that_never_answers_has_failed(kind: type[OciRegistry] | type[HarborRegistry]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = kind(f"http://127.0.0.1:{silent.getsockname()[1]}", LOGIN, 0.2)
        async with asyncio.timeout(60):
            for call in (registry.has("a/b", ABSENT), registry.delete("a/b", ABSENT)):
                with pytest.raises(RegistryFailed):
                    await call
            with pytest.raises(RegistryFailed):
                await registry.delete_repository("a/b")
