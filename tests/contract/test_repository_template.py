"""What a new repository begins with, built by the real engine with the real npm: a failing build fails the image, and
no registry's settings are in it."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.api.adapters.templates import template_files
from tests.support import node_image

pytestmark = [pytest.mark.real, pytest.mark.slow]
REGISTRY = "http://npm.registry.example"
SERVER = "require('http').createServer((_, answer) => answer.end('up')).listen(process.env.PORT)\n"


@pytest.fixture(scope="module")
def base(docker_url: str) -> Iterator[str]:
    name = f"template-{uuid.uuid4().hex[:8]}/node:1"
    node_image.build(docker_url, name)
    yield name
    subprocess.run(["docker", "-H", docker_url, "rmi", "-f", name], check=False, capture_output=True)


def built(docker_url: str, folder: Path, base: str, build: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """The image's name, and how its build ended; a project with this build script."""
    for path, text in template_files(base).items():
        (folder / path).write_text(text)
    package = {"name": "shop", "version": "1.0.0", "scripts": {"build": build, "start": "node server.js"}}
    lock = {"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "shop"}}}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "server.js").write_text(SERVER)
    (folder / ".npmrc").write_text("//npm.registry.example/:_authToken=of-the-tests\n")
    (folder / ".env").write_text("PASSWORD=of-the-tests\n")
    name = f"{base.partition('/')[0]}/app:1"
    argv = ["docker", "-H", docker_url, "build", "-t", name, "--build-arg", f"NPM_REGISTRY={REGISTRY}", str(folder)]
    return name, subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def test_a_build_that_fails_fails_the_image(docker_url: str, tmp_path: Path, base: str) -> None:
    _, done = built(docker_url, tmp_path, base, "exit 7")
    assert done.returncode != 0, done.stdout
    assert "npm run build" in done.stdout + done.stderr


def test_an_app_is_built_and_started_without_anybodys_secrets(docker_url: str, tmp_path: Path, base: str) -> None:
    name, done = built(docker_url, tmp_path, base, "mkdir -p dist && echo page > dist/page.txt")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        look = "ls -A /app; cat /app/dist/page.txt; env; grep -rl of-the-tests /app || echo clean"
        argv = ["docker", "-H", docker_url, "run", "--rm", "--network", "none", name, "sh", "-c", look]
        seen = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
        assert {"page", "clean", "PORT=3000", "NODE_ENV=production", "server.js"} <= set(seen.split())
        assert not {".npmrc", ".env", REGISTRY} & set(seen.split())
    finally:
        subprocess.run(["docker", "-H", docker_url, "rmi", "-f", name], check=False, capture_output=True)
