"""The runner's builder: the real engine, and a real registry."""

import base64
import os
import tarfile
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiodocker
import pytest

from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.context import Contexts
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder
from tests.contract.test_runner_git import Lines
from tests.support import real

pytestmark = pytest.mark.real

IMAGES = BaseImages("busybox:1.36", "busybox:1.36", "busybox:1.36", "busybox:1.36")
NAMES = ImageNames("a/b:1", "a/b:latest")
LABELS = {"funai.managed": "1", "funai.app-id": "20001", "funai.user-id": "1"}


def builder(
    docker_url: str, *, npm: str = "", memory: int = 0, account: RegistryAccount | None = None
) -> EngineBuilder:
    policy = BuildPolicy(False, {"NPM_REGISTRY": npm} if npm else {}, memory)
    return EngineBuilder(docker_url, account or RegistryAccount("", "", ""), policy, Contexts(IMAGES))


@pytest.fixture
async def order(docker_url: str, tmp_path: Path) -> AsyncIterator[BuildOrder]:
    """An order with names of its own, which are removed afterwards."""
    name = f"runner-contract/{uuid.uuid4().hex[:12]}"
    names = ImageNames(f"{name}:0123456789ab-7", f"{name}:latest")
    (tmp_path / "source").mkdir()
    yield BuildOrder(tmp_path, names, LABELS)
    async with aiodocker.Docker(url=docker_url) as docker:
        for image in names.all:
            try:
                await docker.images.delete(image, force=True)
            except aiodocker.DockerError as error:
                assert error.status == 404


def put(order: BuildOrder, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = order.folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


async def test_a_build_that_prints_bytes_without_end_of_line_is_followed(docker_url: str, order: BuildOrder) -> None:
    put(order, {"Dockerfile": f"FROM busybox:1.36\nRUN : {uuid.uuid4()}; dd if=/dev/zero bs=1M count=2 2>/dev/null\n"})
    log = Lines()
    await builder(docker_url).build(order, log)
    assert log.text.count("\0") == 2 * 1024 * 1024


async def test_a_dockerfile_that_is_none_is_told(docker_url: str, order: BuildOrder) -> None:
    put(order, {"Dockerfile": "FORM busybox\n"})
    with pytest.raises(WorkFailed, match=r"(?i)unknown instruction: FORM"):
        await builder(docker_url).build(order, Lines())


async def test_a_base_image_that_does_not_exist_is_told(docker_url: str, order: BuildOrder) -> None:
    put(order, {"Dockerfile": f"FROM 127.0.0.1:{real.free_port()}/no/such-image:1\n"})
    with pytest.raises(WorkFailed, match="the build failed"):
        await builder(docker_url).build(order, Lines())


async def test_a_repository_without_a_dockerfile_is_refused(docker_url: str, order: BuildOrder) -> None:
    put(order, {"README.md": "x"})
    with pytest.raises(WorkFailed, match="no Dockerfile"):
        await builder(docker_url).build(order, Lines())


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside", ".git/config"])
async def test_a_dockerfile_that_links_out_of_the_sources_is_refused(
    docker_url: str, order: BuildOrder, target: str
) -> None:
    put(order, {".git/config": "FROM busybox:1.36\n"})
    (order.folder / "outside").write_text("FROM busybox:1.36\n")
    (order.folder / "source" / "Dockerfile").symlink_to(target)
    with pytest.raises(WorkFailed, match="out of the repository"):
        await builder(docker_url).build(order, Lines())


async def test_the_context_leaves_out_git_and_what_is_ignored(tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = (".git/config", "Dockerfile", "node_modules/x/y.js", "src/a.js", "src/secret.env", ".dockerignore")
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("node_modules\n**/*.env\n")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    await Contexts(IMAGES).pack(BuildOrder(tmp_path, NAMES, LABELS), Lines())
    with tarfile.open(tmp_path / "context.tar") as tar:
        members = {member.name: member for member in tar}
    assert set(members) == {"Dockerfile", "src", "src/a.js", ".dockerignore", "link"}
    assert members["link"].issym()
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}


async def test_folders_nested_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "source" / "/".join(["d"] * 80)).mkdir(parents=True)
    (tmp_path / "source" / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(WorkFailed, match="deeper than 64"):
        await Contexts(IMAGES).pack(BuildOrder(tmp_path, NAMES, LABELS), Lines())


async def test_credentials_go_to_their_own_registry_only() -> None:
    account = RegistryAccount("registry.example:5000", "robot", "secret")
    assert b"secret" in base64.urlsafe_b64decode(account.header("registry.example:5000/a/b:1"))
    for other in ("evil.example/a/b:1", "a/b:1", "registry.example/a/b:1"):
        assert base64.urlsafe_b64decode(account.header(other)) == b"{}"
    assert "secret" not in repr(account)


async def test_an_engine_that_is_not_there_fails_the_build_and_not_the_clean_up(order: BuildOrder) -> None:
    put(order, {"Dockerfile": "FROM scratch\n"})
    absent = builder(f"unix://{order.folder}/absent.sock")
    with pytest.raises(WorkFailed, match="the build failed"):
        await absent.build(order, Lines())
    await absent.remove(order.names.all)
