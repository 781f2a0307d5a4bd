"""What the agent expects of a container's figures: of its own reader of kernel files, on a real container."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from aiodocker import Docker

from daemons.agent.adapters.cgroups import Cgroups
from daemons.agent.domain.usage import Sample, cpu_pct
from tests.support.eventually import eventually
from tests.support.runtime_node import docker

pytestmark = pytest.mark.real
_NAME = f"applogs-{secrets.token_hex(3)}"
_SCRIPT = (
    "head -c 3000000 /dev/zero > /file; while [ ! -e /stop ]; do :; done; "
    "trap 'exit 0' TERM; while :; do sleep 0.1; done"
)


@pytest.fixture
def busy(docker_url: str) -> Iterator[str]:
    argv = ["run", "-d", "--name", _NAME, "--memory", "64m", "--network", "none", "busybox:1.36", "sh", "-c", _SCRIPT]
    docker(docker_url, *argv)
    yield docker_url
    docker(docker_url, "rm", "-f", _NAME)


async def test_a_containers_figures_are_those_of_its_own_group(busy: str) -> None:
    async with Docker(url=busy) as client:
        reader = Cgroups(client)
        first = await reader.usage(_NAME)
        assert first is not None and first.cpu_seconds is not None

        async def worked() -> bool:
            now = await reader.usage(_NAME)
            return now is not None and (now.cpu_seconds or 0) > (first.cpu_seconds or 0) + 0.05

        await eventually(worked)
        second = await reader.usage(_NAME)
        assert second is not None
        share = cpu_pct(first, second)
        assert share is not None and 0 < share <= 120
        assert second.memory_limit_bytes == 64 * 1024**2
        assert second.memory_bytes is not None and 0 < second.memory_bytes < 64 * 1024**2
        assert second.processes == 1

        async def wrote() -> bool:
            return (await Cgroups(client).disk_bytes(_NAME) or 0) >= 3_000_000

        await eventually(wrote)


async def test_a_container_that_starts_again_is_read_anew_and_a_stopped_one_is_not_read(busy: str) -> None:
    async with Docker(url=busy) as client:
        reader = Cgroups(client)
        before = await reader.usage(_NAME)
        await asyncio.to_thread(docker, busy, "restart", "-t", "0", _NAME)
        after = await reader.usage(_NAME)
        assert isinstance(before, Sample) and isinstance(after, Sample)
        assert cpu_pct(before, after) is None or (after.cpu_seconds or 0) >= 0
        await asyncio.to_thread(docker, busy, "kill", _NAME)
        assert await reader.usage(_NAME) is None
        assert await reader.usage("nobody") is None
        assert await reader.disk_bytes("nobody") is None
