"""Packages in workspaces: fetched by real npm and pip from the configured registry, through the fence, kept in caches
that stay small, and never named in a file that is committed."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from protocol.workspace_runs import RunState, RunType
from tests.support import node_image, package_registry, python_image, workspace_node
from tests.support.eventually import eventually
from tests.support.package_registry import NPM_PACKAGE, PIP_PACKAGE, Packages
from tests.support.workspace_node import Node, new_user

pytestmark = [pytest.mark.real, pytest.mark.slow]
_NODE, _PYTHON = "funai-tests-npm:1", "funai-tests-pip:1"
_MIB = 1024 * 1024


@pytest.fixture
def packages() -> Iterator[Packages]:
    with package_registry.packages() as found:
        yield found


@pytest.fixture(scope="module")
def images(docker_url: str) -> dict[str, str]:
    node_image.build(docker_url, _NODE)
    python_image.with_pip(docker_url, _PYTHON)
    return {"npm": _NODE, "pip": _PYTHON}


@pytest.fixture(params=["npm"])
async def node(
    docker_url: str, tmp_path: Path, packages: Packages, images: dict[str, str], request: pytest.FixtureRequest
) -> AsyncIterator[Node]:
    known: dict[str, object] = {
        "FUNAI_WORKSPACE_IMAGE": images[request.param],
        "FUNAI_WORKSPACE_NPMREGISTRY": packages.npm,
        "FUNAI_WORKSPACE_PIPINDEX": packages.pip,
        "FUNAI_WORKSPACE_NPMCACHEMAXMB": 4,
        "FUNAI_WORKSPACE_PIPCACHEMAXMB": 4,
    }
    async with workspace_node.node(docker_url, tmp_path, last=True, port=0, **known) as found:
        yield found


@pytest.fixture
async def user(node: Node) -> str:
    user_id = new_user()
    async with node.client(user_id) as client:
        await client.ensure()
    return user_id


async def _inside(node: Node, user_id: str, script: str) -> str:
    """As a terminal in the container has it."""
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{user_id}", "sh", "-c", script]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _app(node: Node, user_id: str) -> Path:
    app = node.home(user_id) / "apps" / "5"
    app.mkdir()
    (app / "package.json").write_text(
        json.dumps({"name": "a", "version": "1.0.0", "dependencies": {NPM_PACKAGE: "^1.0.0"}})
    )
    for each in (app, *app.iterdir()):
        os.chown(each, 1000, 1000)
    return app


async def test_npm_fetches_from_the_registry_and_writes_nothing_about_it(
    node: Node, user: str, packages: Packages
) -> None:
    app = await asyncio.to_thread(_app, node, user)
    async with node.client(user) as client:
        await client.run(RunType.INSTALL, "5")

        async def ended() -> bool:
            return (await client.run_status()).state in (RunState.SUCCESS, RunState.FAILED)

        await eventually(ended)
        assert (await client.run_status()).state is RunState.SUCCESS, (await client.run_log("5", RunType.INSTALL)).log
        state = await node.caches.prune(user)
        seen = (await client.status()).caches
    assert f"/{NPM_PACKAGE}/-/{NPM_PACKAGE}-1.0.0.tgz" in packages.asked
    assert {path.name for path in app.iterdir()} == {"package.json", "package-lock.json", "node_modules"}
    lock = await asyncio.to_thread((app / "package-lock.json").read_text)
    assert "http" not in lock and "integrity" in lock
    assert seen is not None and seen.npm_bytes == state.sizes[".npm-cache"] > 300_000
    assert (seen.npm_limit_bytes, seen.pruned_bytes) == (4 * _MIB, 0)
    assert (node.home(user) / ".npm-cache" / "5" / "_cacache").is_dir()
    # A terminal fetches from the same place, and a lock file without addresses is enough.
    before = len(packages.asked)
    await _inside(
        node, user, "cd apps/5 && rm -rf node_modules && npm ci --silent && node -e 'require(\"left-of-tests\")'"
    )
    assert len(packages.asked) > before
    assert "http" in await _inside(node, user, "npm config get registry")


@pytest.mark.parametrize("node", ["pip"], indirect=True)
async def test_pip_fetches_from_the_index_and_keeps_it(node: Node, user: str, packages: Packages) -> None:
    install = f"python3 -m pip install --quiet --target /workspace/{{}} {PIP_PACKAGE}"
    await _inside(node, user, install.format("one"))
    assert (node.home(user) / "one" / "right_of_tests.py").exists()
    wheels = [path for path in packages.asked if path.startswith("/files/")]
    await _inside(node, user, install.format("two"))
    assert [path for path in packages.asked if path.startswith("/files/")] == wheels
    state = await node.caches.prune(user)
    assert state.sizes[".pip-cache"] > 0 and state.pruned_bytes == 0


async def test_a_cache_that_is_too_large_loses_what_was_used_least_of_late(node: Node, user: str) -> None:
    home = node.home(user)

    def fill() -> None:
        for number in range(10):
            folder = home / ".npm-cache" / str(number % 3) / "_cacache" / "content-v2" / f"{number:02}"
            folder.mkdir(parents=True)
            (folder / "blob").write_bytes(os.urandom(_MIB))
            old = time.time() - 10_000 + number
            os.utime(folder / "blob", (old, old))
        for path in (home / ".npm-cache", *(home / ".npm-cache").rglob("*")):
            os.chown(path, 1000, 1000)
        # It was written first, and read last.
        os.utime(home / ".npm-cache" / "0" / "_cacache" / "content-v2" / "00" / "blob", (time.time() - 600, 1))

    await asyncio.to_thread(fill)
    state = await node.caches.prune(user)
    left = {path.parent.name for path in (home / ".npm-cache").rglob("blob")}
    assert left == {"00", "08", "09"} and state.sizes[".npm-cache"] <= 4 * _MIB
    assert 7 * _MIB <= state.pruned_bytes < 8 * _MIB
    await node.caches.prune(user)
    assert len(list((home / ".npm-cache").rglob("blob"))) == 3


async def test_a_cache_that_is_a_link_is_not_followed(node: Node, user: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"

    def make() -> None:
        outside.mkdir()
        (outside / "blob").write_bytes(bytes(8 * _MIB))
        os.utime(outside / "blob", (1, 1))
        for path in (outside, outside / "blob"):
            os.chown(path, 1000, 1000)
        (node.home(user) / ".npm-cache").symlink_to(outside)
        (node.home(user) / ".pip-cache").mkdir()
        (node.home(user) / ".pip-cache" / "http").symlink_to(outside)

    await asyncio.to_thread(make)
    state = await node.caches.prune(user)
    assert state.sizes[".npm-cache"] == 0 and (outside / "blob").exists()
