"""Pushes by every builder, each the real one, into a real registry that makes trouble or wants to know who it is."""

import asyncio
import base64
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.registry import OciImages
from daemons.runner.domain.failures import WorkFailed, explain
from daemons.runner.domain.plan import BuildPlan, ImageNames, Source
from daemons.runner.ports import Builder, BuildOrder, Images, LogSink
from daemons.runner.services.pushing import Delivered, Push
from daemons.runner.services.stages import StageBook
from protocol.jobs import JobPhase
from tests.contract.test_builders import IMAGES, LABELS, ByEngine, World, by_buildah, put
from tests.contract.test_runner_git import Lines
from tests.support import real, registries
from tests.support.trying_registry import (
    Door,
    Trouble,
    door,
    registry_with_tokens,
    to_manifests,
    to_uploads,
    token_service,
)
from tests.unit.runner.twins import FakePacer

pytestmark = pytest.mark.real

PASSWORD = "tests-only-" + uuid.uuid4().hex
#: A Harbor project's robot as Harbor names it.
ROBOT = "robot$funaistudio+runner"
SOURCE = Source("ssh://git@git.example/funai/u1-app1.git", "main")


@pytest.fixture(scope="module")
def worlds(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    return {"engine": ByEngine(docker_url), "buildah": by_buildah(docker_url, tmp_path_factory.mktemp("buildah"))}


@pytest.fixture(params=["engine", "buildah"])
def world(request: pytest.FixtureRequest, worlds: dict[str, World]) -> World:
    return worlds[request.param]


@pytest.fixture
async def way(registry_host: str) -> AsyncIterator[Door]:
    async with door(registry_host) as made:
        yield made


class Pushing:
    """One build and its push; nothing waits for the clock."""

    def __init__(self, builder: Builder, host: str, folder: Path, images: Images | None = None) -> None:
        self.name = f"pushes/{uuid.uuid4().hex[:12]}"
        self.host, self.builder, self.log, self.pacer = host, builder, Lines(), FakePacer()
        self.images = images or OciImages(host, None)
        self.names = ImageNames(f"{host}/{self.name}:0123456789ab-7", f"{host}/{self.name}:latest")
        self.order = BuildOrder(folder, self.names, LABELS)
        self.stages = StageBook(self.pacer)
        self.told: tuple[str, str | None] | None = None
        put(self.order, {"Dockerfile": f"FROM busybox:1.36\nENV MARK={uuid.uuid4()}\n"})

    async def _there(self, digest: str) -> None:
        self.told = (digest, await self.images.digest(self.host, self.name, "latest"))

    async def run(self) -> Delivered:
        await self.builder.build(self.order, self.log)
        try:
            self.stages.begin(JobPhase.PUSH)
            push = Push(self.builder, self.images, self.pacer, self.log, self.stages, self._there)
            return await push.run(BuildPlan(SOURCE, f"{self.host}/{self.name}", "latest", self.host), self.names)
        finally:
            await self.builder.remove(self.names.all)


async def test_what_passes_is_pushed_again_until_it_is_there(world: World, way: Door, tmp_path: Path) -> None:
    def of_a_blob(request: web.Request) -> bool:
        return to_uploads(request) and request.method in ("PATCH", "PUT")

    # More of each than buildah tries by itself.
    way.troubles = [
        Trouble(404, 1, of_a_blob, "BLOB_UPLOAD_UNKNOWN"),
        Trouble(500, 2, to_manifests),
        Trouble(0, 2, to_manifests),
        Trouble(429, 1, lambda request: request.path == "/v2/", "TOOMANYREQUESTS", {"Retry-After": "1"}),
    ]
    pushing = Pushing(world.builder(), way.host, tmp_path)
    began = pushing.pacer.time
    made = await pushing.run()
    assert [trouble.times for trouble in way.troubles] == [0, 0, 0, 0]
    assert await pushing.images.digest(way.host, pushing.name, "latest") == made.digest
    assert made.bytes is not None and made.bytes > 0
    retries = pushing.stages.told[0].retries or 0
    assert retries >= 1 and pushing.log.text.count("trying again in") == retries
    assert pushing.pacer.time > began


@pytest.mark.parametrize(("status", "code"), [(403, "DENIED"), (401, "UNAUTHORIZED")])
async def test_a_refusal_is_not_argued_with(world: World, way: Door, tmp_path: Path, status: int, code: str) -> None:
    way.troubles = [Trouble(status, 99, to_manifests, code)]
    with pytest.raises(WorkFailed, match=r"(?i)denied|unauthorized"):
        await Pushing(world.builder(), way.host, tmp_path).run()
    assert 99 - way.troubles[0].times == 1


async def test_a_registry_that_has_something_else_under_the_digest_fails_the_push(
    world: World, way: Door, tmp_path: Path
) -> None:
    def lies(request: web.Request, body: bytes) -> bytes:
        return body + b" " if request.method == "GET" and "/manifests/" in request.path else body

    way.rewrite = lies
    with pytest.raises(WorkFailed, match="does not have sha256:"):
        await Pushing(world.builder(), way.host, tmp_path).run()


class Rival:
    """A builder beside somebody who moves the same tag right after every push."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self.build, self.remove = builder.build, builder.remove

    async def push(self, image: str, log: LogSink) -> str:
        digest = await self._builder.push(image, log)
        host, _, rest = image.partition("/")
        repository, _, tag = rest.rpartition(":")
        if tag == "latest":
            self.theirs = await registries.push(host, repository, tag, "theirs")
        return digest


async def test_beside_a_rival_the_digest_stays_ours_and_the_log_says_whose_the_tag_is(
    world: World, registry_host: str, tmp_path: Path
) -> None:
    rival = Rival(world.builder())
    pushing = Pushing(rival, registry_host, tmp_path)
    made = await pushing.run()
    assert await pushing.images.digest(registry_host, pushing.name, "0123456789ab-7") == made.digest
    assert pushing.told == (made.digest, None), "it was told before the tag that moves was pushed"
    assert f":latest names {rival.theirs} by now; deployed is {made.digest}" in pushing.log.text


async def test_a_robot_pushes_with_a_password_and_no_trace_of_it(world: World, tmp_path: Path) -> None:
    # The hash is that of "tests-only": bcrypt is not part of the standard library.
    known = "$2b$04$p6lQhBUUrC8ZGZo/dUWNEu1eKoHjljva.snFLCyd2FVYWqjEkyqe."
    with real.registry(tmp_path / "registry", f"{ROBOT}:{known}\n") as host:
        async with door(host) as way:
            builder = world.builder(account=RegistryAccount(way.host, ROBOT, "tests-only"))
            images = OciImages(way.host, (ROBOT, "tests-only"))
            made = await Pushing(builder, way.host, tmp_path / "job", images).run()
    assert made.bytes


async def test_a_robot_pushes_by_way_of_a_token_service_and_leaves_no_trace(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, runtime = tmp_path / "home", tmp_path / "runtime"
    for name, folder in (("HOME", home), ("XDG_RUNTIME_DIR", runtime)):
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    async with token_service(tmp_path, (ROBOT, PASSWORD)) as service:
        with registry_with_tokens(tmp_path / "registry", service) as host:
            async with door(host) as way, asyncio.TaskGroup() as group:
                builder = world.builder(account=RegistryAccount(way.host, ROBOT, PASSWORD))
                pushing = Pushing(builder, way.host, tmp_path / "job", OciImages(way.host, (ROBOT, PASSWORD)))
                way.open.clear()
                work = group.create_task(pushing.run())
                await asyncio.wait({work, group.create_task(way.arrived.wait())}, return_when=asyncio.FIRST_COMPLETED)
                places = [tmp_path / "job", home, runtime, Path("/run/containers"), *_own_folders(world)]
                during = await asyncio.to_thread(_traces, places)
                way.open.set()
                await work
                assert during == await asyncio.to_thread(_traces, places) == []
    assert any(scope and "push" in scope and proof for scope, proof in service.asked)
    assert PASSWORD not in pushing.log.text


def _own_folders(world: World) -> Sequence[Path]:
    base = getattr(world, "base", None)
    return [base] if base else []


def _traces(places: Sequence[Path]) -> list[str]:
    """Where a password, or what is sent in its place, stands: command lines, environments and files."""
    pair = f"{ROBOT}:{PASSWORD}".encode()
    words = [PASSWORD.encode(), *(base64.b64encode(b"x" * shift + pair)[4:-8] for shift in range(3))]
    pattern = re.compile(b"|".join(re.escape(word) for word in words))
    own = str(os.getpid())
    files = [path for place in places for path in _files(place)]
    files += [path for path in Path("/proc").glob("[0-9]*/cmdline")]
    files += [path for path in Path("/proc").glob("[0-9]*/environ") if path.parts[2] != own]
    return [str(path) for path in files if pattern.search(_content(path))]


def _files(place: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if not path.is_symlink() and (path.is_file()) else b""
    except OSError:
        return b""


async def test_a_registry_without_tls_is_only_spoken_to_when_it_is_listed(
    world: World, registry_host: str, tmp_path: Path
) -> None:
    # An address that leads here without being one of this machine's own names.
    async with door(registry_host, "0.0.0.0") as way:
        with pytest.raises(WorkFailed, match="HTTP response to HTTPS client") as failed:
            await Pushing(world.builder(), way.host, tmp_path).run()
    assert "RUNNER_PLAIN_HTTP_REGISTRIES" in explain(failed.value, ())
    assert way.seen == []


async def test_an_engine_that_need_not_insist_on_tls_is_not_given_the_account_unless_the_registry_is_listed() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path.rpartition("/")[2])
        if request.path.endswith("/info"):
            known = {"r.example": {"Secure": False}, "tls.example": {"Secure": True}}
            return web.json_response(
                {"RegistryConfig": {"IndexConfigs": known, "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.0.0.0/8"]}}
            )
        if request.path.endswith("/version"):
            return web.json_response({"ApiVersion": "1.41"})
        aux = {"aux": {"Digest": "sha256:" + "a" * 64}}
        return web.Response(body=orjson.dumps(aux) + b"\n")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        account = RegistryAccount("r.example", ROBOT, PASSWORD)

        def builder(*listed: str) -> EngineBuilder:
            return EngineBuilder(url, account, BuildPolicy(False), Contexts(IMAGES), plain_http=listed)

        for host in ("r.example", "10.1.2.3:80"):
            with pytest.raises(WorkFailed, match="does not insist on TLS") as failed:
                await builder().push(f"{host}/a/b:1", Lines())
            assert "RUNNER_PLAIN_HTTP_REGISTRIES" in explain(failed.value, ())
            assert "push" not in asked
            await builder(host).push(f"{host}/a/b:1", Lines())
            assert asked.pop() == "push"
        for host in ("tls.example", "unknown.example:5000", "127.0.0.1:5000"):
            await builder().push(f"{host}/a/b:1", Lines())
