"""The port `ImageRegistry`: one suite over the twin, a real registry and a server with Harbor's API."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from daemons.deploy.adapters.registry import HarborRegistry, OciRegistry
from daemons.deploy.ports import ImageRegistry, RegistryFailed
from tests.support.registries import LOGIN, RegistryTwin, harbor, push

ABSENT = "sha256:" + "0" * 64
Put = Callable[[str, str, str], Awaitable[str]]


@dataclass
class Bench:
    """A registry, a way to push to it, and a repository of this test's own."""

    registry: ImageRegistry
    put: Put
    repository: str


@pytest.fixture(params=["twin", "harbor", pytest.param("real", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    repository, twin = f"reg{uuid4().hex[:8]}/u1-app1", RegistryTwin()
    async with AsyncExitStack() as stack:
        if request.param == "twin":
            yield Bench(twin, twin.put, repository)
        elif request.param == "harbor":
            url = await stack.enter_async_context(harbor(twin))
            yield Bench(HarborRegistry(url, LOGIN, 5), twin.put, repository)
        else:
            host: str = request.getfixturevalue("registry_host")

            async def put(repository: str, tag: str, text: str) -> str:
                return await push(host, repository, tag, text)

            yield Bench(OciRegistry(f"http://{host}", None, 5), put, repository)


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


async def test_a_wrong_login_and_a_rule_of_harbor_are_told_in_words() -> None:
    twin = RegistryTwin()
    digest = await twin.put("funaistudio/u1-app1", "protected", "one")
    async with harbor(twin) as url:
        for login in (None, ("robot-of-tests", "wrong")):
            with pytest.raises(RegistryFailed, match=r"HTTP 401.*DEPLOY_REGISTRY_CLEANUP_USERNAME") as caught:
                await HarborRegistry(url, login, 5).delete("funaistudio/u1-app1", digest)
            assert "wrong" not in str(caught.value)
        with pytest.raises(RegistryFailed, match=r"HTTP 412.*in the words of Harbor"):
            await HarborRegistry(url, LOGIN, 5).delete("funaistudio/u1-app1", digest)
    assert await twin.has("funaistudio/u1-app1", digest)


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
