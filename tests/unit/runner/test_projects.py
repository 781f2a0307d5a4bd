"""Which template a project without a Dockerfile gets, what is written, and that no project does harm."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.runner.adapters.project_files import init, look, recipe
from daemons.runner.domain.evidence import MOST_BYTES, Tree
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.projects import BaseImages, choose
from protocol.errors import JobReason

IMAGES = BaseImages("registry.example/base-node:1", "python:test", "go:test", "static:test")
START = {"scripts": {"start": "node ."}}


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(frozenset(files), {name: text for name, text in files.items() if "/" not in name})


def node(package: object, *files: str) -> Tree:
    return tree({"package.json": json.dumps(package), **dict.fromkeys(files, "")})


def put(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("found", "template", "words"),
    [
        (node(START, "package-lock.json"), "node", "package-lock.json: npm"),
        (node(START, "pnpm-lock.yaml"), "node", "pnpm-lock.yaml: pnpm"),
        (node(START, "yarn.lock", "package-lock.json"), "node", r"yarn.lock \(before package-lock.json\): yarn"),
        (node(START | {"packageManager": "npm@10.2.0"}, "yarn.lock"), "node", "npm@10.2.0, without a lockfile"),
        (node(START), "node", "no lockfile: npm install"),
        (node({}, "server.js"), "node", "server.js: node server.js"),
        (node({"main": "./index.mjs"}, "index.mjs"), "node", "index.mjs: node index.mjs"),
        (node({"scripts": {"build": "b"}, "devDependencies": {"vite": "5"}}), "node-static", "dist/ is served"),
        (node({"scripts": {"build": "b"}, "dependencies": {"react-scripts": "5"}}), "node-static", "build/ is served"),
        (tree({"go.mod": "", "main.go": "", "go.sum": ""}), "go", "go.mod"),
        (tree({"requirements.txt": "Flask==3.0", "app.py": ""}), "python", "flask serves"),
        (tree({"requirements.txt": "fastapi[standard]", "main.py": ""}), "python", "uvicorn serves"),
        (tree({"pyproject.toml": '[project]\ndependencies = ["gunicorn"]', "app.py": ""}), "python", "gunicorn serves"),
        (tree({"requirements.txt": "django", "manage.py": ""}), "python", "Django"),
        (tree({"requirements.txt": "", "server.py": ""}), "python", "python3 server.py"),
        (tree({"index.html": ""}), "static", "index.html"),
        (tree({"public/index.html": ""}), "static", "public/index.html"),
        (node({"scripts": {"css": "tailwind"}}, "requirements.txt", "main.py"), "python", "main.py"),
    ],
)
def test_a_project_gets_a_template_for_a_reason(found: Tree, template: str, words: str) -> None:
    choice = choose(found)
    assert choice.template == template
    assert re.search(words, "\n".join(choice.why))


def test_nothing_that_fits_is_told_with_what_was_looked_for_and_found() -> None:
    with pytest.raises(
        WorkFailed, match=r"no Dockerfile.*package\.json.*go\.mod.*requirements\.txt.*index\.html"
    ) as no:
        choose(tree({"README.md": "", "package.json": "{", "go.mod": ""}))
    assert no.value.reason is JobReason.BUILD_FAILED
    assert "package.json, which is not a JSON object; go.mod without a .go file" in no.value.text
    assert "funai init" in (no.value.advice or "")


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({"package-lock.json": ""}, ["COPY package.json package-lock.json ./", "RUN npm ci || npm install"]),
        (
            {"pnpm-lock.yaml": ""},
            ["command -v pnpm || npm install --global ${NPM_REGISTRY:+", "install --frozen-lockfile"],
        ),
        ({"yarn.lock": "", ".npmrc": ""}, ["COPY package.json yarn.lock .npmrc ./", "yarn install --frozen-lockfile"]),
        ({"yarn.lock": "", ".yarnrc.yml": ""}, ["COPY . ./", "RUN yarn install --immutable"]),
        ({}, ["RUN npm install"]),
    ],
)
def test_dependencies_are_installed_by_their_lockfile(
    tmp_path: Path, files: Mapping[str, str], lines: list[str]
) -> None:
    package = {"scripts": {"start": "node .", "build": "make"}}
    made = recipe(put(tmp_path, {"package.json": json.dumps(package), **files}), IMAGES)
    contract = ["ARG BASE_IMAGE=registry.example/base-node:1", "ARG NPM_REGISTRY", "WORKDIR /app", "EXPOSE 3000"]
    for line in (*contract, 'echo "registry=$NPM_REGISTRY" > .npmrc', "run build\n", "PORT=3000", *lines):
        assert line in made.dockerfile
    assert "@" not in made.dockerfile and "|| true" not in made.dockerfile


def test_scripts_that_run_while_installing_have_all_files(tmp_path: Path) -> None:
    package = {"scripts": {"start": "node .", "postinstall": "prisma generate"}}
    assert "COPY . ./" in recipe(put(tmp_path, {"package.json": json.dumps(package)}), IMAGES).dockerfile


def test_every_template_is_filled_whole(tmp_path: Path) -> None:
    projects: tuple[dict[str, str], ...] = (
        {"package.json": json.dumps({"scripts": {"build": "b"}, "devDependencies": {"vite": "1"}})},
        {"requirements.txt": "flask", "app.py": ""},
        {"pyproject.toml": "", "app.py": ""},
        {"go.mod": "", "main.go": "", "vendor/modules.txt": ""},
        {"dist/index.html": ""},
    )
    for number, files in enumerate(projects):
        made = recipe(put(tmp_path / str(number), files), IMAGES)
        assert "@" not in made.dockerfile and "EXPOSE 3000" in made.dockerfile and ".git\n" in made.dockerignore


def test_what_a_repository_says_of_itself_does_not_become_an_instruction(tmp_path: Path) -> None:
    hostile = "x.js\nRUN id"
    package = {
        "main": hostile,
        "packageManager": "pnpm@9.0.0; id",
        "scripts": {"start": "id\nRUN id", "build": '"]\nRUN id'},
        "dependencies": {hostile: hostile},
    }
    made = recipe(put(tmp_path, {"package.json": json.dumps(package)}), IMAGES)
    assert "RUN id" not in made.dockerfile and "; id" not in made.dockerfile


def test_manifests_are_read_within_bounds_and_never_through_links(tmp_path: Path) -> None:
    (tmp_path / "package.json").symlink_to("/etc/hostname")
    (tmp_path / "requirements.txt").write_text("x" * (MOST_BYTES + 1))
    os.mkfifo(tmp_path / "pyproject.toml")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "index.html").mkdir()
    found = look(tmp_path)
    assert found.texts == {} and found.unread == {"requirements.txt": "is larger than 256 KiB"}
    with pytest.raises(WorkFailed, match=r"requirements\.txt, which is larger than 256 KiB"):
        choose(found)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"scripts": []}', '{"scripts": {"start": 1}}', "\0", "null"]
)
def test_a_hostile_manifest_is_passed_over(text: str) -> None:
    with pytest.raises(WorkFailed, match="no template fits"):
        choose(tree({"package.json": text, "pyproject.toml": text, "requirements.txt": text}))


_names = st.sampled_from(
    ["package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", ".npmrc", ".yarnrc.yml", "server.js", "go.mod",
     "main.go", "vendor/modules.txt", "requirements.txt", "pyproject.toml", "manage.py", "main.py", "index.html",
     "dist/index.html"]
)  # fmt: skip
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["scripts", "start", "build", "main", "dependencies", "vite", "packageManager"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(_names | st.text(max_size=12), st.text(max_size=40) | _json.map(json.dumps), max_size=12))
def test_any_tree_has_one_answer(files: dict[str, str]) -> None:
    found = tree(files)
    try:
        first = choose(found)
    except WorkFailed as error:
        assert "no template fits" in error.text
        return
    assert first == choose(found)
    assert first.why
    assert all("\n" not in value for value in first.fill.values())


def test_init_writes_what_a_runner_would_use_and_overwrites_nothing(tmp_path: Path) -> None:
    put(tmp_path, {"index.html": "x", ".dockerignore": "mine\n"})
    lines = init(tmp_path, IMAGES)
    assert lines[0].startswith("template static") and "wrote Dockerfile" in lines
    assert (tmp_path / ".dockerignore").read_text() == "mine\n"
    written = (tmp_path / "Dockerfile").read_text()
    assert written == recipe(tmp_path, IMAGES).dockerfile and "ARG BASE_IMAGE=static:test\n" in written
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert init(tmp_path, IMAGES) == ("Dockerfile is there already; nothing was written",)
    assert (tmp_path / "Dockerfile").read_text() == "FROM scratch\n"


def test_init_writes_through_no_link(tmp_path: Path) -> None:
    project = put(tmp_path / "project", {"index.html": "x"})
    for name in ("Dockerfile", ".dockerignore"):
        (project / name).symlink_to(tmp_path / "elsewhere")
    assert init(project, IMAGES) == ("Dockerfile is there already; nothing was written",)
    (project / "Dockerfile").unlink()
    assert ".dockerignore is there already and stays as it is" in init(project, IMAGES)
    assert not (tmp_path / "elsewhere").exists()
