"""The layers of real builders: what is kept for the next build, and what may be removed."""

import asyncio
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.runner.adapters.buildah import BuildahBuilder
from daemons.runner.adapters.layer_notes import FileLayerNotes
from daemons.runner.adapters.layers import BuildahLayers, EngineLayers
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.layers import key
from daemons.runner.domain.room import RoomLine
from daemons.runner.ports import BuildOrder, LayerStore, NoLayers, ReadyBuilder
from daemons.runner.services.cache import CachedBuilder, LayerCache
from tests.contract import test_builders as builders
from tests.contract.test_builders import LABELS, ByBuildah, ByEngine, put
from tests.contract.test_runner_git import Lines
from tests.support import real
from tests.unit.runner.twins import FakePacer, LayerTally

pytestmark = pytest.mark.real
buildah = builders.buildah
world = builders.world
World = ByEngine | ByBuildah
#: More than any disk has: all goes that may go.
EVERYTHING = RoomLine(100, 2**62)


def store_of(world: World, builder: ReadyBuilder) -> LayerStore:
    if isinstance(world, ByEngine):
        return EngineLayers(world.url)
    assert isinstance(builder, BuildahBuilder)
    return BuildahLayers(builder, world.base)


async def cached(
    world: World, folder: Path, line: RoomLine = EVERYTHING
) -> tuple[CachedBuilder, LayerCache, LayerTally]:
    builder, tally = world.builder(), LayerTally()
    notes = await asyncio.to_thread(FileLayerNotes, folder / "notes")
    cache = LayerCache(store_of(world, builder), notes, line, tally, FakePacer(), time.time)
    return CachedBuilder(builder, cache), cache, tally


def order(folder: Path, registry: str, mark: str, text: str) -> BuildOrder:
    made = BuildOrder(folder, builders.names(registry), LABELS)
    put(made, {"Dockerfile": f"FROM busybox:1.36\nRUN echo {mark} > /dependencies\nCOPY text /text\n", "text": text})
    return made


@pytest.fixture
def others(docker_url: str) -> Iterator[set[str]]:
    """On the engine: an untagged image, one that somebody built on busybox, and a container of a third."""
    name = f"others-{uuid.uuid4().hex[:8]}"
    empty = subprocess.run(["tar", "-c", "-T", "/dev/null"], check=True, capture_output=True).stdout
    argv = ["docker", "-H", docker_url, "import", "-"]
    untagged = subprocess.run(argv, input=empty, check=True, capture_output=True).stdout.decode().strip()
    argv = ["docker", "-H", docker_url, "build", "-q", "-"]
    made = [
        subprocess.run(
            argv, input=f"FROM busybox:1.36\nRUN echo {name}{each}\n".encode(), check=True, capture_output=True
        )
        for each in range(2)
    ]
    built, used = (each.stdout.decode().strip() for each in made)
    builders._docker(docker_url, "create", "--name", name, used)
    yield {untagged, built, used}
    builders._docker(docker_url, "rm", name)
    builders._docker(docker_url, "rmi", untagged, built, used)


async def test_a_change_of_one_line_builds_on_what_is_left_of_a_build_whose_names_are_gone(
    world: World, registry_host: str, tmp_path: Path
) -> None:
    working, cache, _ = await cached(world, tmp_path)
    mark = uuid.uuid4().hex
    for number, text in enumerate(("one", "two")):
        asked, log = order(tmp_path / str(number), registry_host, mark, text), Lines()
        await working.build(asked, log)
        await working.push(asked.names.immutable, log)
        await working.remove(asked.names.all)
        assert log.text.count("Using cache") == number
        assert await world.images(asked.names.immutable.rpartition(":")[0]) == []
    await cache.look()


async def test_what_builds_left_goes_and_nothing_else(
    world: World, registry_host: str, docker_url: str, tmp_path: Path, others: set[str]
) -> None:
    working, cache, tally = await cached(world, tmp_path)
    log = Lines()
    gone = order(tmp_path / "gone", registry_host, uuid.uuid4().hex, "")
    failing = order(tmp_path / "failing", registry_host, uuid.uuid4().hex, "")
    put(failing, {"Dockerfile": f"FROM busybox:1.36 AS a\nRUN echo {uuid.uuid4()}\nFROM busybox:1.36\nRUN exit 1\n"})
    stays = order(tmp_path / "stays", registry_host, uuid.uuid4().hex, "")
    await working.build(gone, log)
    await working.remove(gone.names.all)
    with pytest.raises(WorkFailed):
        await working.build(failing, log)
    await working.build(stays, log)
    # As after a kill -9: what is known is what the file says.
    working, cache, tally = await cached(world, tmp_path)
    noted = set(cache.notes.uses)
    assert len(noted) >= 7
    await cache.look()
    left = {key(layer.id) for layer in await store_of(world, world.builder()).layers()} & noted
    assert tally.gone > 0
    chain = 5 if isinstance(world, ByEngine) else 4
    assert 1 <= len(left) <= chain + 1, "what the named image stands on, and its base"
    await working.push(stays.names.immutable, log)
    await working.remove(stays.names.all)
    await cache.look()
    assert await world.images("busybox:1.36") != []
    listed = await asyncio.to_thread(builders._docker, docker_url, "images", "--no-trunc", "-q", "-a")
    assert others <= set(listed.split())
    assert not {key(layer.id) for layer in await store_of(world, world.builder()).layers()} & noted - {
        key((await world.images("busybox:1.36"))[0])
    }


async def test_the_disk_of_an_engine_elsewhere_cannot_be_looked_at() -> None:
    with pytest.raises(NoLayers, match="on another machine"):
        await EngineLayers("tcp://127.0.0.1:1").room()
    with pytest.raises(NoLayers, match="does not answer as it should"):
        await EngineLayers(f"unix:///nowhere/{real.free_port()}").room()
