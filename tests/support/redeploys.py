"""An app that is redeployed again and again while a crowd visits it."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import python_image, runtime_node
from tests.support.crowd import Crowd, Size
from tests.support.runtime_node import RuntimeNode, docker

#: Every so many deployments, one of an image that ends at once.
_BROKEN_EVERY = 5


@contextmanager
def stage(
    folder: Path, engine: str, name: str, driver: str = "haproxy"
) -> Iterator[tuple[RuntimeNode, list[str], str]]:
    """A node, two images that work and one that does not."""
    works = [f"{name}/u7-appw:{letter * 12}-1" for letter in "ab"]
    broken = f"{name}/u7-appx:cccccccccccc-1"
    python_image.build(engine, works[0], "a")
    python_image.again(engine, works[0], works[1], "b")
    docker(engine, "tag", "busybox:1.36", broken)
    try:
        with runtime_node.deploy() as plane:
            settings = {
                "RUNTIME_GATEWAY_DRIVER": driver,
                "DEPLOY_BASE_URL": plane.url,
                "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN,
                "RUNTIME_DRAIN_SECONDS": "15",
                "RUNTIME_STREAM_DRAIN_SECONDS": "2",
                "RUNTIME_START_SECONDS": "30",
            }
            with runtime_node.node(folder, engine, name, **settings) as node:
                yield node, works, broken
    finally:
        for reference in (*works, broken):
            docker(engine, "rmi", "-f", reference)


async def redeploy(node: RuntimeNode, works: list[str], broken: str, count: int, size: Size) -> tuple[Crowd, int]:
    """The crowd after so many deployments, and how many of those failed as they should."""
    app_id = f"t{secrets.token_hex(4)}"
    answer = await asyncio.to_thread(node.deploy, app_id, works[0], 1)
    assert answer.status_code == 200, answer.text
    crowd = Crowd(int(node.gateway_url.rpartition(":")[2]), f"/runtime/{app_id}", size)
    refused = 0
    async with crowd.visiting():
        await asyncio.sleep(1)
        for number in range(1, count + 1):
            bad = number % _BROKEN_EVERY == 0
            image = broken if bad else works[number % 2]
            answer = await asyncio.to_thread(node.deploy, app_id, image, number + 1)
            assert answer.status_code == (500 if bad else 200), answer.text
            refused += bad
        # The last former container ends its WebSockets and streams within this time.
        await asyncio.sleep(4)
    return crowd, refused


def engine_url() -> str:
    """The engine that benchmarks use. Raises SystemExit without one."""
    url = os.environ.get("FUNAI_TEST_DOCKER_HOST") or os.environ.get("DOCKER_HOST")
    if not url:
        raise SystemExit("set FUNAI_TEST_DOCKER_HOST to the engine whose containers may be made and removed")
    return url
