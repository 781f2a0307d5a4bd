"""What the agent sees of the engine's data folder, of the real one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiodocker import Docker

from daemons.agent.adapters.docker import DockerEngine
from daemons.agent.adapters.docker_store import DockerStore
from daemons.agent.adapters.networks import AppNetworks
from daemons.agent.domain.collection import ContainerLog
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.firewall import NoFirewall
from tests.support.engines import POOL
from tests.support.eventually import eventually
from tests.support.runtime_node import docker

pytestmark = pytest.mark.real
_RUN = secrets.token_hex(3)
_NODE, _NAME = f"store-{_RUN}", f"rt-u-7-s{_RUN}-r1"
_LABELS = ("funai.managed=1", f"funai.node={_NODE}", "funai.user-id=7", f"funai.app-id=s{_RUN}")


@pytest.fixture
async def store(docker_url: str) -> AsyncIterator[DockerStore]:
    async with Docker(url=docker_url) as client:
        yield DockerStore(DockerEngine(client, _NODE, AppNetworks(client, _NODE, POOL, NoFirewall())))


@pytest.fixture
async def talker(docker_url: str) -> AsyncIterator[str]:
    """A container of ours that was made without rotation and never stops talking."""
    labels = [f"--label={label}" for label in _LABELS]
    script = "while true; do echo a line of output; sleep 0.05; done"
    argv = ("run", "-d", "--name", _NAME, "--log-driver=json-file", *labels, "busybox:1.36", "sh", "-c", script)
    await asyncio.to_thread(docker, docker_url, *argv)
    yield _NAME
    await asyncio.to_thread(docker, docker_url, "rm", "-f", _NAME)


async def test_a_log_is_emptied_in_place_and_goes_on(store: DockerStore, talker: str, docker_url: str) -> None:
    async def log() -> ContainerLog:
        (found,) = await store.container_logs()
        assert found.container == talker
        return found

    async def grew() -> bool:
        return (await log()).size > 1000

    await eventually(grew)
    before = await log()
    await store.cut_log(before)
    cut = (await log()).size
    assert cut < before.size

    async def goes_on() -> bool:
        return (await log()).size > cut

    await eventually(goes_on)
    lines = (await asyncio.to_thread(docker, docker_url, "logs", "--tail=1", talker)).splitlines()
    assert lines == ["a line of output"]


async def test_nothing_but_a_plain_file_is_emptied(store: DockerStore, tmp_path: Path) -> None:
    target, link = tmp_path / "precious", tmp_path / "x-json.log"
    target.write_text("keep")
    link.symlink_to(target)
    with pytest.raises(EngineError, match="cannot be emptied"):
        await store.cut_log(ContainerLog("c", str(link), 4))
    assert target.read_text() == "keep"


async def test_layers_and_what_is_in_use_are_known(store: DockerStore, talker: str, docker_url: str) -> None:
    image = (await asyncio.to_thread(docker, docker_url, "inspect", "--format={{.Id}}", "busybox:1.36")).strip()
    layer = (
        await asyncio.to_thread(docker, docker_url, "inspect", "--format={{index .RootFS.Layers 0}}", image)
    ).strip()
    assert image in await store.images_in_use()
    assert (layer,) in await store.layer_lists()
    assert await store.layer_lists() == await store.layer_lists()


async def test_the_engine_says_which_registries_are_insecure(docker_url: str) -> None:
    async with Docker(url=docker_url) as client:
        engine = DockerEngine(client, _NODE, AppNetworks(client, _NODE, POOL, NoFirewall()))
        assert await engine.insecure("127.0.0.1:5000")
        assert await engine.insecure("localhost:5000")
        assert not await engine.insecure("registry.example")
        assert not await engine.insecure("192.0.2.1:5000")
