"""What a change of one line costs to build, against the first build of the same project.

A Node project with real packages beside it, on this machine's Node and npm, as a job builds it: build, push to a
registry, remove the names. Each round has packages that no build saw before; then one line of the source changes. By
the engine of FUNAI_TEST_DOCKER_HOST (or a private one) and by buildah, where the machine has them.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.figures import Figure, median, show
from daemons.runner.adapters.buildah import BuildahBuilder, storage_driver
from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.enclosure import Enclosure
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder, ReadyBuilder
from tests.support import node_image, real

ROUNDS = 3
PACKAGES = 150
FILES = 40
MOST = 0.25
NOBODY = RegistryAccount("", "", "")
POLICY = BuildPolicy(False)


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    figures: list[Figure] = []
    # In the data folder of an engine or of buildah every file of a package is written anew: not on a memory disk.
    folder = Path(tempfile.mkdtemp(prefix="funai-builds-", dir="/var/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        engine = stack.enter_context(real.docker_engine(folder / "engine"))
        registry = stack.enter_context(real.registry(folder / "registry"))
        real.busybox_image(engine)
        base = f"{registry}/bench/node:20"
        stack.callback(subprocess.run, ["docker", "-H", engine, "rmi", base], capture_output=True, check=False)
        node_image.build(engine, base)
        subprocess.run(["docker", "-H", engine, "push", "-q", base], check=True, capture_output=True)
        contexts = Contexts(BaseImages(base, base, base, base))
        builders: dict[str, ReadyBuilder] = {"engine": EngineBuilder(engine, NOBODY, POLICY, contexts)}
        if os.geteuid() == 0 and shutil.which("buildah"):
            driver = await storage_driver(Enclosure(folder / "buildah", None))
            enclosure = Enclosure(folder / "buildah", None)
            builders["buildah"] = BuildahBuilder(enclosure, NOBODY, POLICY, contexts, driver=driver)
        for name, builder in builders.items():
            await once(builder, folder / "base", registry, {"Dockerfile": f"FROM {base}\nRUN true\n"})
            cold, warm = await seconds(builder, folder / "job", registry, base)
            limit = ("s", "first build", median(cold), MOST)
            figures.append(Figure(f"{name}: build after a change of one line, median", median(warm), *limit))
    return show(f"builds: {PACKAGES} packages of {FILES} files, {ROUNDS} rounds", figures)


async def seconds(builder: ReadyBuilder, job: Path, registry: str, base: str) -> tuple[list[float], list[float]]:
    """Of first builds, and of those after a change of one line."""
    cold: list[float] = []
    warm: list[float] = []
    for number in range(ROUNDS):
        node_image.project(job / "source", base, packages=PACKAGES, files=FILES, seed=time.time_ns())
        cold.append(await once(builder, job, registry, {}))
        node_image.say(job / "source", f"changed {number}")
        warm.append(await once(builder, job, registry, {}))
    return cold, warm


async def once(builder: ReadyBuilder, job: Path, registry: str, files: dict[str, str]) -> float:
    """Seconds of the build alone."""
    (job / "source").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (job / "source" / name).write_text(text)
    repository = f"{registry}/bench/u7-app1"
    order = BuildOrder(
        job, ImageNames(f"{repository}:{time.time_ns():x}-1", f"{repository}:latest"), {"funai.bench": "1"}
    )
    log = _Lines()
    began = time.perf_counter()
    try:
        await builder.build(order, log)
    except Exception:
        print("".join(log.lines[-40:]))
        raise
    spent = time.perf_counter() - began
    await builder.push(order.names.immutable, log)
    await builder.remove(order.names.all)
    return spent


class _Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.lines: Sequence[str] = []

    async def write(self, text: str) -> None:
        self.lines = [*self.lines[-200:], text]


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
