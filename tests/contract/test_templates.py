"""Projects of every template, without a Dockerfile, built by the real engine, started, and asked for their page.

Python and the server of static files are real. Node's and Go's tools stand in as scripts that say how they are called
and leave a program that serves: what is proven of them is the Dockerfile, not the tool.
"""

import asyncio
import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daemons.runner.adapters.builder import BuildPolicy, EngineBuilder, RegistryAccount
from daemons.runner.adapters.context import Contexts
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder
from tests.contract.test_runner_git import Lines
from tests.support import python_image, real

pytestmark = pytest.mark.real

SERVE = "exec httpd -f -p 3000 -h /srv"
#: Says how it is called; a build fails when the project has a file `broken`; a start serves what it was told.
NPM = f"""#!/bin/sh
echo "called: $0 $*, registry: $(cat .npmrc 2>/dev/null)" | tee -a /srv/index.html
case "$*" in
    ci) [ -e no-ci ] && exit 1 ;;
    "run build") [ -e broken ] && exit 7; mkdir -p dist; cp /srv/index.html dist ;;
    "run start") {SERVE} ;;
esac
exit 0
"""
GO = f"""#!/bin/sh
echo "called: go $*, proxy: $GOPROXY"
[ "$1" = build ] || exit 0
printf '#!/bin/sh\\nmkdir -p /srv; echo built by go > /srv/index.html; {SERVE}\\n' > /app
chmod +x /app
"""
APP = """
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"python on " + os.environ["PORT"].encode())
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
"""
PACKAGE = {"scripts": {"build": "b", "start": "s"}, "dependencies": {"left": "1"}}
PAGE = {"scripts": {"build": "b"}, "devDependencies": {"vite": "5"}}
PROJECTS: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "npm": (
        {"package.json": json.dumps(PACKAGE), "package-lock.json": "{}", "no-ci": ""},
        "called: /bin/npm run start, registry: registry=http://npm.example",
        ("called: /bin/npm ci", "called: /bin/npm run build"),
    ),
    "pnpm": (
        {"package.json": json.dumps(PACKAGE), "pnpm-lock.yaml": "", ".npmrc": "registry=http://own.example"},
        "called: /bin/pnpm run start, registry: registry=http://own.example",
        ("called: /bin/pnpm install --frozen-lockfile, registry: registry=http://own.example",),
    ),
    "page": (
        {"package.json": json.dumps(PAGE), "yarn.lock": ""},
        "called: /bin/yarn run build",
        ("called: /bin/yarn install --frozen-lockfile",),
    ),
    "go": ({"go.mod": "", "main.go": ""}, "built by go", ("called: go mod download, proxy: http://go.example",)),
    "python": ({"requirements.txt": "# none\n", "main.py": APP}, "python on 3000", ("-m pip install -r",)),
    "static": ({"public/index.html": "a page"}, "a page", ()),
}


@pytest.fixture(scope="module")
def images(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseImages]:
    """Base images made on this machine."""
    name, folder = f"templates/{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("images")
    tools, python = (f"{name}:{tag}" for tag in ("tools", "python"))
    python_image.with_pip(docker_url, python)
    copies = "".join(f"COPY npm /bin/{tool}\n" for tool in ("npm", "pnpm", "yarn"))
    # Another image in each run: what a former run built on it would be taken for built.
    own = f"FROM busybox:1.36\nENV RUN={name}\nRUN mkdir /srv\n"
    text = f"{own}{copies}COPY go /bin/go\nRUN chmod +x /bin/*pm /bin/yarn /bin/go\n"
    put(folder, {"npm": NPM, "go": GO, "Dockerfile": text})
    docker(docker_url, "build", "-q", "-t", tools, str(folder))
    yield BaseImages(tools, python, tools, "busybox:1.36")
    docker(docker_url, "rmi", "-f", tools, python)


@pytest.fixture
def builder(docker_url: str, images: BaseImages) -> EngineBuilder:
    arguments = {"NPM_REGISTRY": "http://npm.example", "GOPROXY": "http://go.example"}
    return EngineBuilder(docker_url, RegistryAccount("", "", ""), BuildPolicy(False, arguments), Contexts(images))


def order(folder: Path, files: Mapping[str, str]) -> BuildOrder:
    put(folder / "source", files)
    name = f"templates/{uuid.uuid4().hex[:12]}"
    return BuildOrder(folder, ImageNames(f"{name}:1", f"{name}:latest"), {})


@pytest.mark.parametrize("kind", PROJECTS)
async def test_a_project_is_built_and_serves_on_port_3000(
    kind: str, builder: EngineBuilder, docker_url: str, tmp_path: Path
) -> None:
    files, page, said = PROJECTS[kind]
    asked, log = order(tmp_path, files), Lines()
    await builder.build(asked, log)
    for words in said:
        assert words in log.text
    assert page in await asyncio.to_thread(served, docker_url, asked.names.immutable)
    await builder.remove(asked.names.all)


async def test_a_build_script_that_fails_fails_the_job(builder: EngineBuilder, tmp_path: Path) -> None:
    asked = order(tmp_path, {"package.json": json.dumps(PACKAGE), "broken": ""})
    with pytest.raises(WorkFailed, match=r"npm run build") as failed:
        await builder.build(asked, Lines())
    assert failed.value.exit_code == 7


def served(docker_url: str, image: str) -> str:
    """What a container of the image answers at `/`."""
    container = docker(docker_url, "run", "-d", "--rm", "-p", "127.0.0.1::3000", image).strip()
    try:
        address = docker(docker_url, "port", container, "3000/tcp").split()[0]
        answers: list[str] = []

        def asked() -> bool:
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
                    answers.append(answer.read().decode())
            except OSError:
                return False
            return True

        real.wait_until(asked, f"an answer of {image}: {docker(docker_url, 'logs', container)}")
        return answers[0]
    finally:
        docker(docker_url, "kill", container)


def put(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def docker(url: str, *arguments: str) -> str:
    return subprocess.run(["docker", "-H", url, *arguments], capture_output=True, text=True, check=True).stdout
