"""One suite over every builder, each the real one, with a real registry beside it."""

import asyncio
import os
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest

from daemons.runner.adapters.buildah import BuildahBuilder, storage_driver
from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.cgroups import Cgroups, Limits
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.enclosure import FIRST_ID, Enclosure
from daemons.runner.adapters.leash import Leashes
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder, ReadyBuilder
from protocol.errors import JobReason
from tests.contract.test_runner_git import Lines
from tests.support import real
from tests.support.eventually import eventually

pytestmark = pytest.mark.real

IMAGES = BaseImages("busybox:1.36", "busybox:1.36", "busybox:1.36", "busybox:1.36")
LABELS = {"funai.managed": "1", "funai.app-id": "20001"}
NOBODY = RegistryAccount("", "", "")
POLICY = BuildPolicy(False)
PASSWORD = "tests-only"
#: robot, with that password.
HTPASSWD = "robot:$2b$04$p6lQhBUUrC8ZGZo/dUWNEu1eKoHjljva.snFLCyd2FVYWqjEkyqe.\n"
MEMORY = 96 * 1024 * 1024


class World(Protocol):
    """A real builder, and what it leaves behind."""

    def builder(self, policy: BuildPolicy = ..., account: RegistryAccount = ...) -> ReadyBuilder: ...

    async def leftovers(self, mark: str) -> list[str]: ...

    async def images(self, name: str) -> list[str]: ...


@dataclass
class ByEngine:
    """The Docker API."""

    url: str

    def builder(self, policy: BuildPolicy = POLICY, account: RegistryAccount = NOBODY) -> ReadyBuilder:
        return EngineBuilder(self.url, account, policy, Contexts(IMAGES))

    async def leftovers(self, mark: str) -> list[str]:
        listed = await asyncio.to_thread(_docker, self.url, "ps", "-a", "--no-trunc", "--format", "{{.Command}}")
        return [line for line in listed.splitlines() if mark in line]

    async def images(self, name: str) -> list[str]:
        return (await asyncio.to_thread(_docker, self.url, "images", "--quiet", name)).split()


@dataclass
class ByBuildah:
    """Buildah in its enclosure."""

    base: Path
    driver: str
    enclosure: Enclosure = field(init=False)

    def __post_init__(self) -> None:
        self.enclosure = Enclosure(self.base, None)

    def builder(self, policy: BuildPolicy = POLICY, account: RegistryAccount = NOBODY) -> ReadyBuilder:
        cgroups = Cgroups(Limits(policy.memory_bytes, policy.cpus, 512))
        return BuildahBuilder(Enclosure(self.base, cgroups), account, policy, Contexts(IMAGES), driver=self.driver)

    async def leftovers(self, mark: str) -> list[str]:
        containers = self.base / "store" / "root" / f"{self.driver}-containers" / "containers.json"
        kept = [str(each["id"]) for each in orjson.loads(await asyncio.to_thread(containers.read_bytes))]
        return kept + [str(path) for path in (self.base / "jobs").iterdir()]

    async def images(self, name: str) -> list[str]:
        return (await self.buildah("images", "--quiet", "--filter", f"reference={name}")).split()

    async def buildah(self, *arguments: str, bring: Path | None = None) -> str:
        storage = ("--root=/mnt/store/root", "--runroot=/mnt/job/run", f"--storage-driver={self.driver}")
        ids = {name: str(FIRST_ID) for name in ("_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID")}
        async with self.enclosure.job() as job:
            if bring:
                (job / "archive").write_bytes(await asyncio.to_thread(bring.read_bytes))
                os.chown(job / "archive", FIRST_ID, FIRST_ID)
            argv = ["buildah", *storage, *arguments]
            env = {"_CONTAINERS_USERNS_CONFIGURED": "done", **ids}
            code, output = await self.enclosure.run(argv, job, None, env=env)
        assert code == 0, output
        return output


@pytest.fixture(scope="module")
def buildah(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> ByBuildah:
    return by_buildah(docker_url, tmp_path_factory.mktemp("buildah"))


def by_buildah(docker_url: str, folder: Path) -> ByBuildah:
    """A storage with busybox:1.36 in it."""
    real.program("buildah", "buildah")
    archive = folder / "busybox.tar"
    subprocess.run(["docker", "-H", docker_url, "save", "-o", archive, "busybox:1.36"], check=True)

    async def made() -> ByBuildah:
        world = ByBuildah(folder / "base", await storage_driver(Enclosure(folder / "base", None)))
        await world.buildah("pull", "docker-archive:/mnt/job/archive", bring=archive)
        return world

    return asyncio.run(made())


@pytest.fixture(params=["engine", "buildah"])
def world(request: pytest.FixtureRequest, docker_url: str) -> World:
    if request.param == "engine":
        return ByEngine(docker_url)
    made: World = request.getfixturevalue("buildah")
    return made


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants robot's password."""
    with real.registry(tmp_path_factory.mktemp("registry"), HTPASSWD) as host:
        yield host


@pytest.fixture
async def order(registry_host: str, tmp_path: Path, world: World) -> AsyncIterator[BuildOrder]:
    """An order with names of its own in the open registry."""
    (tmp_path / "source").mkdir()
    made = BuildOrder(tmp_path, names(registry_host), LABELS)
    yield made
    await world.builder().remove(made.names.all)


def names(registry: str) -> ImageNames:
    repository = f"{registry}/builders/{uuid.uuid4().hex[:12]}"
    return ImageNames(f"{repository}:0123456789ab-7", f"{repository}:latest")


def put(order: BuildOrder, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = order.folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


async def test_an_image_is_built_labelled_pushed_under_both_names_and_removed(world: World, order: BuildOrder) -> None:
    run = 'RUN echo "built with $NPM_REGISTRY"'
    put(
        order,
        {"Dockerfile": f"FROM busybox:1.36\nARG NPM_REGISTRY\n{run}\nCOPY a /a\nLABEL funai.managed=no\n", "a": ""},
    )
    log = Lines()
    working = world.builder(BuildPolicy(False, {"NPM_REGISTRY": f"http://{uuid.uuid4()}.example"}))
    await working.build(order, log)
    assert f" : {run}" in log.text or f": {run}" in log.text
    assert "\nbuilt with http://" in log.text
    digests = [await working.push(name, log) for name in order.names.all]
    repository = order.names.immutable.rpartition(":")[0]
    assert digests[0] == digests[1] == (await asyncio.to_thread(manifest, repository, "latest"))[0]
    assert LABELS.items() <= (await asyncio.to_thread(config, repository))["Labels"].items()
    assert len(set(await world.images(repository))) == 1
    await working.remove(order.names.all)
    assert await world.images(repository) == []
    assert await world.leftovers(order.folder.name) == []


async def test_a_failing_instruction_is_told_with_its_exit_code_and_leaves_nothing(
    world: World, order: BuildOrder
) -> None:
    mark = str(uuid.uuid4())
    put(order, {"Dockerfile": f"FROM busybox:1.36\nRUN echo {mark} && exit 3\n"})
    log = Lines()
    with pytest.raises(WorkFailed, match=r"the build failed.*RUN .*exit 3") as failed:
        await world.builder().build(order, log)
    assert (failed.value.reason, failed.value.exit_code) == (JobReason.BUILD_FAILED, 3)
    assert f"\n{mark}\n" in log.text
    assert await world.leftovers(mark) == []


async def test_a_build_uses_no_more_than_allowed_and_reaches_no_network_when_it_must_not(
    world: World, order: BuildOrder
) -> None:
    where = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    below = "/sys/fs/cgroup/memory$(sed -n 's/.*:memory://p' /proc/self/cgroup)/memory.limit_in_bytes"
    run = f"RUN : {uuid.uuid4()}; cat {where} {below} 2>/dev/null; echo interfaces: $(grep -c : /proc/net/dev)"
    put(order, {"Dockerfile": f"FROM busybox:1.36\n{run}\n"})
    log = Lines()
    await world.builder(BuildPolicy(False, memory_bytes=MEMORY, cpus=1, network=False)).build(order, log)
    assert f"\n{MEMORY}\n" in log.text
    assert "\ninterfaces: 1\n" in log.text


async def test_a_cancelled_build_is_gone_with_all_it_started_and_others_go_on(
    world: World, order: BuildOrder, tmp_path: Path
) -> None:
    mark = f"86{uuid.uuid4().int % 10**6:06d}"
    put(order, {"Dockerfile": f"FROM busybox:1.36\nRUN {_stubborn(mark)}\n"})
    beside = BuildOrder(tmp_path / "beside", names("127.0.0.1:1"), LABELS)
    put(beside, {"Dockerfile": f"FROM busybox:1.36\nRUN sleep 3; echo {mark} ended\n"})
    working, log = world.builder(), Lines()
    async with asyncio.TaskGroup() as group:
        other = group.create_task(working.build(beside, log))
        building = group.create_task(working.build(order, Lines()))
        await asyncio.to_thread(real.wait_until, lambda: running(f"sleep {mark}1"), "the instruction's start")
        building.cancel()
        await asyncio.wait({building})
        await asyncio.to_thread(real.wait_until, lambda: not running(f"sleep {mark}"), "the end of all it started", 2)
        assert not other.done() or f"{mark} ended" in log.text
    assert f"\n{mark} ended\n" in log.text
    await working.remove(beside.names.all)
    assert await world.leftovers(mark) == []
    assert await world.images(order.names.immutable) == []


async def test_a_build_ends_with_its_lease_although_the_loop_stands_still(world: World, order: BuildOrder) -> None:
    mark = f"85{uuid.uuid4().int % 10**6:06d}"
    put(order, {"Dockerfile": f"FROM busybox:1.36\nRUN {_stubborn(mark)}\n"})
    async with Leashes().held("attempt") as leash, asyncio.TaskGroup() as group:
        building = group.create_task(world.builder().build(order, Lines()))
        await asyncio.to_thread(real.wait_until, lambda: running(f"sleep {mark}1"), "the instruction's start")
        threading.Timer(0.1, leash.cut).start()
        # Here, on the loop: until the end of what was started nothing else is done by it.
        real.wait_until(lambda: not running(f"sleep {mark}"), "the end of all it started")
        building.cancel()
        await asyncio.wait({building})

    async def nothing_is_left() -> bool:
        return await world.leftovers(mark) == []

    await eventually(nothing_is_left)


def _stubborn(mark: str) -> str:
    """A command whose last part is `sleep {mark}1`, with processes in the background, in sessions of their own and
    orphaned, none of which heeds SIGTERM."""
    orphans = f"(sleep {mark} &) ; setsid sleep {mark}2 & (setsid sh -c 'sleep {mark}3 & sleep {mark}4' &)"
    return f"trap '' TERM HUP INT; {orphans} ; sleep {mark}1"


async def test_a_build_that_takes_too_long_is_ended_and_told(world: World, order: BuildOrder) -> None:
    mark = f"sleep 87{uuid.uuid4().int % 10**6:06d}"
    put(order, {"Dockerfile": f"FROM busybox:1.36\nRUN {mark}\n"})
    with pytest.raises(WorkFailed, match="the build took longer than 2 s and was stopped"):
        await world.builder(BuildPolicy(False, seconds=2)).build(order, Lines())
    await asyncio.to_thread(real.wait_until, lambda: not running(mark), "the end of the instruction", 2)


async def test_a_push_proves_who_it_is_to_its_own_registry_only(
    world: World, closed_registry: str, tmp_path: Path
) -> None:
    asked = BuildOrder(tmp_path, names(closed_registry), LABELS)
    put(asked, {"Dockerfile": f"FROM busybox:1.36\nENV MARK={uuid.uuid4()}\n"})
    known = world.builder(account=RegistryAccount(closed_registry, "robot", PASSWORD))
    log = Lines()
    await known.build(asked, log)
    digest = await known.push(asked.names.immutable, log)
    assert digest.startswith("sha256:") and PASSWORD not in log.text
    for account in (NOBODY, RegistryAccount("elsewhere.example", "robot", PASSWORD)):
        with pytest.raises(WorkFailed, match=r"(?i)auth") as failed:
            await world.builder(account=account).push(asked.names.immutable, Lines())
        assert failed.value.reason is JobReason.PUSH_FAILED
    await known.remove(asked.names.all)


async def test_a_registry_that_is_not_there_fails_the_push(world: World, tmp_path: Path) -> None:
    asked = BuildOrder(tmp_path, names(f"127.0.0.1:{real.free_port()}"), LABELS)
    put(asked, {"Dockerfile": f"FROM busybox:1.36\nENV MARK={uuid.uuid4()}\n"})
    working = world.builder()
    await working.build(asked, Lines())
    with pytest.raises(WorkFailed, match=r"push.*refused") as failed:
        await working.push(asked.names.immutable, Lines())
    assert failed.value.reason is JobReason.PUSH_FAILED
    await working.remove(asked.names.all)


async def test_a_project_without_a_dockerfile_becomes_an_image_that_serves_it(world: World, order: BuildOrder) -> None:
    put(order, {"public/index.html": str(uuid.uuid4()), ".env": "SECRET=1"})
    log = Lines()
    working = world.builder()
    await working.build(order, log)
    assert log.text.startswith("no Dockerfile: the template static is used, because of\n  public/index.html")
    await working.push(order.names.immutable, log)
    made = await asyncio.to_thread(config, order.names.immutable.rpartition(":")[0], "0123456789ab-7")
    assert made["Cmd"] == ["httpd", "-f", "-p", "3000", "-h", "/www"]


async def test_a_build_that_starts_processes_without_end_is_stopped_and_leaves_none(
    buildah: ByBuildah, registry_host: str, tmp_path: Path
) -> None:
    mark = f"sleep 88{uuid.uuid4().int % 10**6:06d}"
    asked = BuildOrder(tmp_path, names(registry_host), LABELS)
    put(asked, {"Dockerfile": f"FROM busybox:1.36\nRUN while true; do {mark} & done\n"})
    log = Lines()
    # The loop ends by what it is refused alone; what its shell says of that may be lost with the processes around it.
    with pytest.raises(WorkFailed, match="the build failed"):
        await buildah.builder().build(asked, log)
    assert "exit status 2" in log.text
    assert not running(mark)
    assert await buildah.leftovers(mark) == []


@pytest.mark.parametrize("base", ["scratch", "busybox:1.36"])
async def test_a_container_of_which_a_killed_buildah_wrote_nothing_down_goes(
    buildah: ByBuildah, registry_host: str, tmp_path: Path, base: str
) -> None:
    working, asked = buildah.builder(), BuildOrder(tmp_path, names(registry_host), LABELS)
    assert isinstance(working, BuildahBuilder)
    put(asked, {"Dockerfile": "FROM busybox:1.36\n"})

    async def killed() -> None:
        await buildah.buildah("from", base)
        (made,) = await buildah.leftovers("")
        folder = buildah.base / "store" / "root" / f"{buildah.driver}-containers" / made / "userdata"
        await asyncio.to_thread((folder / "buildah.json").unlink)
        await buildah.buildah("rm", "--all")
        assert await buildah.leftovers("") == [made]

    await killed()
    await working.prepare()
    assert await buildah.leftovers("") == []
    await killed()
    await working.build(asked, Lines())
    assert await buildah.leftovers("") == []


async def test_a_name_that_a_later_build_took_over_stays_when_the_earlier_one_is_removed(
    docker_url: str, registry_host: str, tmp_path: Path
) -> None:
    """Of the same image, too: a later attempt of a job finds all layers there."""
    world, first = ByEngine(docker_url), names(registry_host)
    later = ImageNames(first.immutable.replace("-7", "-8"), first.moving)
    put(BuildOrder(tmp_path, first, LABELS), {"Dockerfile": f"FROM busybox:1.36\nENV MARK={uuid.uuid4()}\n"})
    working = world.builder()
    for each in (first, later):
        await working.build(BuildOrder(tmp_path, each, LABELS), Lines())
    await working.remove(first.all)
    assert await world.images(first.immutable) == []
    assert len(await world.images(later.moving)) == len(await world.images(later.immutable)) == 1
    await working.remove(later.all)
    assert await world.images(first.immutable.rpartition(":")[0]) == []


async def test_an_instruction_mounts_a_secret_that_is_in_no_layer(
    buildah: ByBuildah, registry_host: str, tmp_path: Path
) -> None:
    secret = tmp_path / "npmrc"
    secret.write_text(f"token={uuid.uuid4()}\n")
    asked = BuildOrder(tmp_path, names(registry_host), LABELS)
    run = "RUN --mount=type=secret,id=npmrc wc -c < /run/secrets/npmrc"
    put(asked, {"Dockerfile": f"FROM busybox:1.36\n{run}\nRUN test ! -s /run/secrets/npmrc\n"})
    log = Lines()
    working = buildah.builder(BuildPolicy(False, secrets={"npmrc": secret}))
    await working.build(asked, log)
    await working.remove(asked.names.all)
    assert "\n43\n" in log.text and secret.read_text() not in log.text


async def test_a_build_reads_nothing_of_the_runner(world: World, order: BuildOrder) -> None:
    put(order, {"Dockerfile": "FROM busybox:1.36\nCOPY stolen /stolen\n"})
    (order.folder / "source" / "stolen").symlink_to("/etc/passwd")
    with pytest.raises(WorkFailed):
        await world.builder().build(order, Lines())


async def test_a_control_group_is_there_for_the_length_of_a_build() -> None:
    cgroups = Cgroups(Limits(MEMORY, 1, 64))
    async with cgroups.group() as folders:
        made = [folder.is_dir() for folder in folders]
    assert made and all(made)
    assert not any(folder.exists() for folder in folders)
    assert await cgroups.problem() is None
    killed = Cgroups(Limits(MEMORY, 1, 64), owner="a runner").group()
    left = await killed.__aenter__()
    assert await Cgroups(Limits(MEMORY, 1, 64), owner="another").problem() is None
    assert all(folder.exists() for folder in left)
    assert await Cgroups(Limits(MEMORY, 1, 64), owner="a runner").problem() is None
    assert not any(folder.exists() for folder in left)
    assert "/nowhere/memory" in (await Cgroups(Limits(MEMORY), root=Path("/nowhere")).problem() or "")


def running(words: str) -> bool:
    """Whether any process of this machine has these words in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                return True
        except OSError:
            continue
    return False


def _docker(url: str, *arguments: str) -> str:
    return subprocess.run(["docker", "-H", url, *arguments], capture_output=True, text=True, check=True).stdout


def manifest(repository: str, tag: str) -> tuple[str, dict[str, Any]]:
    host, _, path = repository.partition("/")
    request = urllib.request.Request(f"http://{host}/v2/{path}/manifests/{tag}")
    request.add_header("Accept", "application/vnd.docker.distribution.manifest.v2+json")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.headers["Docker-Content-Digest"], orjson.loads(answer.read())


def config(repository: str, tag: str = "latest") -> dict[str, Any]:
    host, _, path = repository.partition("/")
    blob = manifest(repository, tag)[1]["config"]["digest"]
    with urllib.request.urlopen(f"http://{host}/v2/{path}/blobs/{blob}", timeout=120) as answer:
        found: dict[str, Any] = orjson.loads(answer.read())["config"]
        return found
