"""Builds on a small disk that they would fill many times over, by each builder, beside what belongs to others."""

import asyncio
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.runner.adapters.buildah import BuildahBuilder, storage_driver
from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.enclosure import Enclosure
from daemons.runner.adapters.layer_notes import FileLayerNotes
from daemons.runner.adapters.layers import BuildahLayers, EngineLayers
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.domain.room import RoomLine
from daemons.runner.ports import BuildOrder, LayerStore, ReadyBuilder
from daemons.runner.services.cache import CachedBuilder, LayerCache
from daemons.runner.services.pace import MachinePacer
from tests.contract.test_runner_git import Lines
from tests.support import real
from tests.support.small_disk import small_disk
from tests.unit.runner.twins import LayerTally

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
#: A build by buildah has its files there five times for a moment, which the line must leave room for.
_DISK_MB = 140
_LAYER_MB = 8
#: More than would find room.
_BUILDS = 18
_NOBODY = RegistryAccount("", "", "")
_POLICY = BuildPolicy(False, network=False)
_CONTEXTS = Contexts(BaseImages("busybox:1.36", "busybox:1.36", "busybox:1.36", "busybox:1.36"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, _DISK_MB) as point:
        yield point


def by_engine(url: str) -> tuple[ReadyBuilder, LayerStore]:
    return EngineBuilder(url, _NOBODY, _POLICY, _CONTEXTS), EngineLayers(url)


async def by_buildah(base: Path, registry: str) -> tuple[ReadyBuilder, LayerStore]:
    driver = await storage_driver(Enclosure(base, None))
    builder = BuildahBuilder(Enclosure(base, None), _NOBODY, _POLICY, _CONTEXTS, driver=driver)
    await builder.prepare()
    return builder, BuildahLayers(builder, base)


async def fill(disk: Path, folder: Path, made: tuple[ReadyBuilder, LayerStore], base: str) -> tuple[float, int]:
    """Build for a few apps in turn, as jobs do; the least free share that was seen after a build, in percent, and how
    many layers were removed."""
    tally, least = LayerTally(), 100.0
    notes = await asyncio.to_thread(FileLayerNotes, folder / "notes")
    cache = LayerCache(made[1], notes, RoomLine(40, 2**62), tally, MachinePacer(), time.time)
    working = CachedBuilder(made[0], cache)
    for number in range(_BUILDS):
        app_id = str(number % 3)
        job, repository = folder / f"job{number}", f"127.0.0.1:1/layers/u7-app{app_id}"
        (job / "source").mkdir(parents=True)
        (job / "source" / "data").write_bytes(secrets.token_bytes(_LAYER_MB * 1024**2))
        (job / "source" / "Dockerfile").write_text(f"FROM {base}\nCOPY data /data\nRUN echo {secrets.token_hex(8)}\n")
        names = ImageNames(f"{repository}:{secrets.token_hex(6)}-{number}", f"{repository}:latest")
        await working.build(BuildOrder(job, names, {"funai.app-id": app_id}), Lines())
        found = os.statvfs(disk)
        least = min(least, 100 * found.f_bavail / (found.f_blocks - found.f_bfree + found.f_bavail))
        await working.remove(names.all)
        await cache.look()
    return least, tally.gone


def test_an_engine_on_a_small_disk_never_gets_full(
    tmp_path: Path, disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Its builds need no network, and so it leaves the packet filter of other engines on this machine alone.
    options = ["--iptables=false"]
    # The name of a socket in there has at most 107 bytes.
    short = tmp_path_factory.mktemp("e")
    with real.private_engine(short, 5, data=disk / "data", options=options) as url:
        real.busybox_image(url)
        foreign = subprocess.run(
            ["docker", "-H", url, "build", "-q", "--network=none", "-"],
            input=f"FROM busybox:1.36\nRUN echo {secrets.token_hex(8)}\n".encode(),
            check=True,
            capture_output=True,
        ).stdout.decode()
        least, gone = asyncio.run(fill(disk, tmp_path, by_engine(url), "busybox:1.36"))
        images = subprocess.run(["docker", "-H", url, "images", "--no-trunc", "-q"], check=True, capture_output=True)
        assert foreign.strip() in images.stdout.decode().split()
    assert least > 10
    assert gone > 0


def test_buildah_on_a_small_disk_never_gets_full(
    tmp_path: Path, disk: Path, docker_url: str, registry_host: str
) -> None:
    real.program("buildah", "buildah")
    base = f"{registry_host}/layers/busybox:1"
    for words in (["tag", "busybox:1.36", base], ["push", "-q", base], ["rmi", base]):
        subprocess.run(["docker", "-H", docker_url, *words], check=True, capture_output=True)

    async def filled() -> tuple[float, int]:
        return await fill(disk, tmp_path, await by_buildah(disk / "buildah", registry_host), base)

    least, gone = asyncio.run(filled())
    assert least > 10
    assert gone > 0
