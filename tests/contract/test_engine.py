"""What the agent expects of a container engine, of its twin and of the real one."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiodocker import Docker

from daemons.agent.adapters.docker import DockerEngine
from daemons.agent.domain.containers import ContainerSpec, Limits
from daemons.agent.domain.images import of_app
from daemons.agent.ports import Engine, EngineError, PortTaken
from tests.support import real
from tests.support.agent_twins import Behaviour, TwinEngine
from tests.support.eventually import eventually
from tests.support.runtime_node import Workshop, docker

_RUN = secrets.token_hex(3)
_APP = f"c{_RUN}"
_REFERENCE = f"engine-test-{_RUN}/u7-app{_APP}:aaaaaaaaaaaa-1"


class Bench:
    """An engine with one image in it, and a way to take a port from under it."""

    def __init__(self, engine: Engine, hold_port: Callable[[int], object]) -> None:
        self.engine = engine
        self.hold_port = hold_port

    async def spec(self, name: str, **changes: object) -> ContainerSpec:
        """A container of the image."""
        image_id = await self.engine.image_id(_REFERENCE)
        assert image_id is not None
        spec = ContainerSpec(
            f"rt-u-7-{_APP}-{name}", "n-" + _RUN, "7", _APP, 1, _REFERENCE, image_id, 3000, real.free_port(), Limits()
        )
        return replace(spec, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def real_image(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"engine-test-{_RUN}")
    text = 'FROM busybox:1.36\nCMD ["sh","-c","echo first; echo second >&2; exec httpd -f -p 3000"]\n'
    yield shop.image(_APP, "aaaaaaaaaaaa-1", text)
    for name in docker(docker_url, "ps", "-aq", f"--filter=label=funai.node=n-{_RUN}").split():
        docker(docker_url, "rm", "-f", name)
    shop.close()


@pytest.fixture(params=["twin", pytest.param("docker", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "twin":
        twin = TwinEngine(local={_REFERENCE: "sha256:1"}, behaviours={"sha256:1": Behaviour(output="first\nsecond\n")})
        yield Bench(twin, twin.taken.add)
        return
    assert request.getfixturevalue("real_image") == _REFERENCE
    held: list[socket.socket] = []

    def hold(port: int) -> None:
        held.append(socket.create_server(("127.0.0.1", port)))

    url = request.getfixturevalue("docker_url")
    async with Docker(url=url) as client:
        yield Bench(DockerEngine(client, f"n-{_RUN}"), hold)
    for listener in held:
        listener.close()


async def test_a_container_lives_and_goes(bench: Bench) -> None:
    spec, engine = await bench.spec("r1"), bench.engine
    assert await engine.state(spec.name) is None
    await engine.create(spec)
    created = await engine.state(spec.name)
    assert created is not None
    assert not created.running
    await engine.start(spec.name)
    started = await engine.state(spec.name)
    assert started is not None
    assert (started.running, started.host_port) == (True, spec.host_port)
    own = [one for one in await engine.own() if one.name == spec.name]
    assert [(one.user_id, one.app_id, one.running) for one in own] == [("7", _APP, True)]
    await engine.leave_down(spec.name)
    await engine.stop(spec.name, 1)
    stopped = await engine.state(spec.name)
    assert stopped is not None
    assert not stopped.running
    await engine.remove(spec.name)
    assert await engine.state(spec.name) is None


async def test_several_who_remove_the_same_container_all_see_it_gone(bench: Bench) -> None:
    engine, spec = bench.engine, await bench.spec("r7")
    await engine.create(spec)
    await engine.start(spec.name)
    await asyncio.gather(*(engine.remove(spec.name) for _ in range(4)))
    assert await engine.state(spec.name) is None


async def test_what_is_absent_is_stopped_and_removed(bench: Bench) -> None:
    await bench.engine.stop(f"rt-u-7-{_APP}-r99", 1)
    await bench.engine.remove(f"rt-u-7-{_APP}-r99")
    await bench.engine.remove_image(f"engine-test-{_RUN}/u7-app{_APP}:absent")


async def test_what_is_absent_cannot_be_started_or_kept(bench: Bench) -> None:
    with pytest.raises(EngineError, match="start container"):
        await bench.engine.start(f"rt-u-7-{_APP}-r99")
    with pytest.raises(EngineError, match="update container"):
        await bench.engine.leave_down(f"rt-u-7-{_APP}-r99")


async def test_a_name_is_taken_once(bench: Bench) -> None:
    spec = await bench.spec("r2")
    await bench.engine.create(spec)
    with pytest.raises(EngineError, match="create container"):
        await bench.engine.create(spec)
    await bench.engine.remove(spec.name)


async def test_a_port_in_use_is_told_apart(bench: Bench) -> None:
    spec = await bench.spec("r3")
    bench.hold_port(spec.host_port)
    await bench.engine.create(spec)
    with pytest.raises(PortTaken):
        await bench.engine.start(spec.name)
    await bench.engine.remove(spec.name)


async def test_output_comes_from_both_streams_and_is_cut_to_its_tail(bench: Bench) -> None:
    spec, engine = await bench.spec("r4"), bench.engine
    await engine.create(spec)
    await engine.start(spec.name)

    async def printed() -> bool:
        return len((await engine.logs(spec.name, 10)).splitlines()) == 2

    async def listens() -> bool:
        return 3000 in [one.port for one in await engine.listeners(spec.name)]

    await eventually(printed)
    await eventually(listens)
    assert sorted((await engine.logs(spec.name, 10)).splitlines()) == ["first", "second"]
    assert len((await engine.logs(spec.name, 1)).splitlines()) == 1
    await engine.remove(spec.name)


async def test_images_are_found_by_repository(bench: Bench) -> None:
    engine = bench.engine
    found = of_app(await engine.images(), "7", _APP)
    assert [image.references for image in found] == [(_REFERENCE,)]
    assert [image.image_id for image in found] == [await engine.image_id(_REFERENCE)]
    assert await engine.image_id(f"engine-test-{_RUN}/u7-app{_APP}:absent") is None


async def test_an_image_in_use_stays(bench: Bench) -> None:
    spec = await bench.spec("r5")
    await bench.engine.create(spec)
    with pytest.raises(EngineError, match="remove image"):
        await bench.engine.remove_image(_REFERENCE)
    await bench.engine.remove(spec.name)
    assert await bench.engine.image_id(_REFERENCE) is not None


async def test_a_pull_that_fails_is_an_error(bench: Bench) -> None:
    reference = f"127.0.0.1:{real.free_port()}/n/u7-app{_APP}:x"
    with pytest.raises(EngineError, match="could not pull"):
        await bench.engine.pull(reference)


@pytest.mark.real
@pytest.mark.parametrize("name", ["../images", "a?force=1", "a/b", "", "a b", "x" * 129])
async def test_names_that_would_change_the_path_are_refused(docker_url: str, name: str) -> None:
    async with Docker(url=docker_url) as client:
        engine = DockerEngine(client, "n")
        with pytest.raises(EngineError, match="characters"):
            await engine.remove(name)
        with pytest.raises(EngineError, match="characters"):
            await engine.image_id(f"../containers/{name}")


@pytest.mark.real
async def test_a_pull_answers_the_pulled_image(docker_url: str, registry_host: str, real_image: str) -> None:
    reference = f"{registry_host}/funai/u7-app{_APP}:latest"
    await asyncio.to_thread(docker, docker_url, "tag", real_image, reference)
    await asyncio.to_thread(docker, docker_url, "push", "-q", reference)
    await asyncio.to_thread(docker, docker_url, "rmi", reference)
    async with Docker(url=docker_url) as client:
        engine = DockerEngine(client, "n")
        pulled = await engine.pull(reference)
        assert pulled == await engine.image_id(real_image)
        digests = json.loads(await asyncio.to_thread(docker, docker_url, "inspect", reference))[0]["RepoDigests"]
        digest = next(name for name in digests if name.startswith(registry_host))
        assert await engine.pull(digest) == pulled
        await engine.remove_image(reference)
        await engine.remove_image(digest)


async def test_an_engine_that_is_gone_is_an_error(tmp_path: Path) -> None:
    async with Docker(url=f"unix://{tmp_path}/absent.sock", api_version="v1.41") as client:
        with pytest.raises(EngineError, match="could not list its containers"):
            await DockerEngine(client, "n").own()
