"""An image that is fetched before it is deployed: a real agent, engine and registry."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from daemons.runner.adapters.registry import OciImages
from tests.support import real, runtime_node
from tests.support.pushed import Press
from tests.support.runtime_node import RuntimeNode, docker
from tests.support.trying_registry import Door, door

pytestmark = pytest.mark.real

MEGABYTES = 40
USER = {"userId": "7"}


@pytest.fixture(scope="module")
def node(docker_url: str, real_parts: Path) -> Iterator[RuntimeNode]:
    # Nothing is ever too much: what a full disk does is the business of other tests.
    marks = (("NO_NEW_APPS", "3%/3g"), ("NO_PULLS", "2%/2g"), ("STOPS_ONLY", "1%/1g"))
    settings = {f"RUNTIME_DISK_{name}": value for name, value in marks} | {"RUNTIME_REQUIRE_FENCE": "false"}
    name = f"warm-{uuid.uuid4().hex[:8]}"
    with runtime_node.node(real_parts / "wi", docker_url, name, **settings) as made:
        yield made


@pytest.fixture
async def way(registry_host: str) -> AsyncIterator[Door]:
    async with door(registry_host) as made:
        yield made


async def pushed(docker_url: str, registry: str, way: Door, app_id: str, megabytes: int) -> str:
    """The reference, by digest, of an image behind the door."""
    press = Press(docker_url, registry)
    try:
        repository = f"funaistudio/u7-app{app_id}"
        reference = await asyncio.to_thread(press.image, repository, "1", "warm", megabytes=megabytes)
    finally:
        press.close()
    assert reference.startswith(registry)
    return f"{way.host}/{repository}@{await OciImages(registry, None).digest(registry, repository, '1')}"


def has(node: RuntimeNode, image: str) -> bool:
    return bool(docker(node.engine, "images", "-q", "--no-trunc", "--filter", f"reference={image}").strip())


async def test_what_was_fetched_ahead_is_deployed_without_the_registry(
    node: RuntimeNode, docker_url: str, registry_host: str, way: Door
) -> None:
    image = await pushed(docker_url, registry_host, way, "31", 1)
    body = {**USER, "appId": "31", "image": image}
    try:
        for _ in range(2):
            answer = await asyncio.to_thread(node.post, "/agent/images/warm", body)
            assert answer.status_code == 200 and answer.json()["state"] in ("PULLING", "HERE")
        await asyncio.to_thread(real.wait_until, lambda: has(node, image), "the image")
        asked = len(way.seen)
        answer = await asyncio.to_thread(node.deploy, "31", image, 1)
        assert answer.status_code == 200, answer.text
        assert len(way.seen) == asked
    finally:
        await asyncio.to_thread(node.post, "/agent/apps/delete", {**USER, "appId": "31"})


async def test_a_deployment_in_the_middle_of_it_waits_for_nothing_and_fetches_nothing_twice(
    node: RuntimeNode, docker_url: str, registry_host: str, way: Door
) -> None:
    image = await pushed(docker_url, registry_host, way, "32", MEGABYTES)
    try:
        await asyncio.to_thread(node.post, "/agent/images/warm", {**USER, "appId": "32", "image": image})
        answer = await asyncio.to_thread(node.deploy, "32", image, 1)
        assert answer.status_code == 200, answer.text
        assert MEGABYTES * 1024**2 <= max(way.sent.values()) < 1.5 * MEGABYTES * 1024**2
    finally:
        await asyncio.to_thread(node.post, "/agent/apps/delete", {**USER, "appId": "32"})
