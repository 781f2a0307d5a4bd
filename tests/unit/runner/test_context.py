"""What goes into a build context, and that nothing of it leads out of the repository."""

import os
import socket
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemons.runner.adapters.context import Contexts
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import ImageNames
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder
from tests.contract.test_runner_git import Lines

CONTEXTS = Contexts(BaseImages("node:test", "python:test", "go:test", "static:test"))
NAMES = ImageNames("a/b:1", "a/b:latest")


def order(
    folder: Path, files: Mapping[str, str], dockerfile: str | None = None, context: str | None = None
) -> BuildOrder:
    for name, text in files.items():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text(text)
    return BuildOrder(folder, NAMES, {}, dockerfile, context)


def members(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return {member.name for member in tar if not member.isdir()}


async def test_a_context_is_a_folder_of_the_repository(tmp_path: Path) -> None:
    files = {"web/Dockerfile": "FROM base\n", "web/index.html": "", "Dockerfile": "FROM other\n", "secret": ""}
    packed = await CONTEXTS.pack(order(tmp_path, files, context="web"), Lines())
    assert (packed.dockerfile, packed.text) == ("Dockerfile", "FROM base\n")
    assert members(packed.archive) == {"Dockerfile", "index.html"}


async def test_a_dockerfile_from_beside_the_context_is_not_copied_with_it(tmp_path: Path) -> None:
    files = {"deploy/app.Dockerfile": "FROM base\n", "web/index.html": "", "web/.dockerignore": "*.log\n"}
    packed = await CONTEXTS.pack(order(tmp_path, files, "deploy/app.Dockerfile", "web"), Lines())
    assert packed.text == "FROM base\n" and packed.dockerfile in packed.hidden
    assert members(packed.archive) == {packed.dockerfile, ".dockerignore", "index.html"}
    with tarfile.open(packed.archive) as tar:
        ignore = tar.extractfile(".dockerignore")
        assert ignore is not None and ignore.read().decode().splitlines() == ["*.log", "", packed.dockerfile]


async def test_the_dockerfile_goes_along_whatever_is_ignored(tmp_path: Path) -> None:
    files = {"build/Dockerfile": "FROM base\n", "build/x": "", "x": "", ".dockerignore": "*\n"}
    packed = await CONTEXTS.pack(order(tmp_path, files, "build/Dockerfile"), Lines())
    assert members(packed.archive) == {"build/Dockerfile", ".dockerignore"}
    assert packed.hidden == (".dockerignore", "build/Dockerfile")


async def test_a_project_without_a_dockerfile_is_built_from_a_template_and_the_log_says_why(tmp_path: Path) -> None:
    log = Lines()
    packed = await CONTEXTS.pack(order(tmp_path, {"site/public/index.html": "x"}, context="site"), log)
    assert members(packed.archive) == {"Dockerfile", ".dockerignore", "public/index.html"}
    assert "ARG BASE_IMAGE=static:test\n" in packed.text
    assert log.text == "no Dockerfile: the template static is used, because of\n  public/index.html: static files\n"


@pytest.mark.parametrize(
    ("dockerfile", "context", "words"),
    [
        ("deploy/Dockerfile", None, "dockerfilePath deploy/Dockerfile is no file"),
        (None, "web", "buildContext web is no folder"),
        ("out/x", None, "dockerfilePath out/x leads out of the repository"),
        (None, "out", "buildContext out leads out of the repository"),
        ("far/etc/hostname", None, "leads out of the repository"),
        (None, "far", "leads out of the repository"),
        (".git/config", None, "leads out of the repository"),
        ("hidden/config", None, "leads out of the repository"),
        ("../source/../outside/x", None, "leads out of the repository"),
        ("loop/x", None, "a loop of links|no file"),
        (None, "loop", "a loop of links|no folder"),
        ("folder", None, "no file"),
    ],
)
async def test_what_leads_out_of_the_repository_is_refused_by_name(
    tmp_path: Path, dockerfile: str | None, context: str | None, words: str
) -> None:
    asked = order(tmp_path, {"a": "", ".git/config": "FROM base\n", "folder/x": ""}, dockerfile, context)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("FROM base\n")
    source = tmp_path / "source"
    for link, target in {"out": "../outside", "far": "/", "hidden": ".git", "loop": "loop"}.items():
        (source / link).symlink_to(target)
    with pytest.raises(WorkFailed, match=words):
        await CONTEXTS.pack(asked, Lines())
    assert not (tmp_path / "context.tar").exists()


@pytest.mark.parametrize("kind", ["link", "far", "folder", "pipe", "large", "loop", "nowhere"])
async def test_a_dockerignore_that_cannot_be_read_fails_the_build_and_is_not_passed_over(
    tmp_path: Path, kind: str
) -> None:
    asked = order(tmp_path, {"Dockerfile": "FROM x\n", "secret": ""})
    (tmp_path / "outside").write_text("nothing\n")
    path = tmp_path / "source" / ".dockerignore"
    links = {"link": "../outside", "far": "/etc/passwd", "loop": ".dockerignore", "nowhere": "absent"}
    if kind in links:
        path.symlink_to(links[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("x\n" * 200_000)
    with pytest.raises(WorkFailed, match=r"\.dockerignore"):
        await CONTEXTS.pack(asked, Lines())


async def test_a_dockerignore_that_is_a_link_within_the_repository_is_followed(tmp_path: Path) -> None:
    asked = order(tmp_path, {"Dockerfile": "FROM x\n", "secret": "", "build/ignored": "secret\nbuild\n"})
    (tmp_path / "source" / ".dockerignore").symlink_to("build/ignored")
    packed = await CONTEXTS.pack(asked, Lines())
    assert members(packed.archive) == {"Dockerfile", ".dockerignore"}


async def test_what_is_neither_file_nor_folder_nor_link_is_neither_opened_nor_packed(tmp_path: Path) -> None:
    asked = order(tmp_path, {"Dockerfile": "FROM x\n", "a": ""})
    os.mkfifo(tmp_path / "source" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/source/socket")
        if os.geteuid() == 0:
            os.mknod(tmp_path / "source" / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        packed = await CONTEXTS.pack(asked, Lines())
    assert members(packed.archive) == {"Dockerfile", "a"}


async def test_a_dockerfile_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    asked = order(tmp_path, {"a": ""})
    os.mkfifo(tmp_path / "source" / "Dockerfile")
    with pytest.raises(WorkFailed, match="the Dockerfile is not a plain file"):
        await CONTEXTS.pack(asked, Lines())


async def test_names_that_no_alphabet_has_go_along_as_they_are(tmp_path: Path) -> None:
    names = [
        b"Read",
        b"READ",
        "e\u0301".encode(),
        "\u00e9".encode(),
        b"\xff\xfe",
        b"new\nline",
        "\u202egnp".encode(),
        b"a\\..\\b",
    ]
    asked = order(tmp_path, {"Dockerfile": "FROM x\n"})
    for name in names:
        (tmp_path / "source" / os.fsdecode(name)).write_text("")
    packed = await CONTEXTS.pack(asked, Lines())
    assert members(packed.archive) == {"Dockerfile", *map(os.fsdecode, names)}


async def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    asked = order(tmp_path, {"Dockerfile": "FROM x\n"})
    (tmp_path / "source" / "/".join("d" * 70)).mkdir(parents=True)
    with pytest.raises(WorkFailed, match="deeper than 64 levels"):
        await CONTEXTS.pack(asked, Lines())


async def test_the_image_of_another_app_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="names n/u2-app9:1, which is the image of another app"):
        await CONTEXTS.pack(order(tmp_path, {"Dockerfile": "FROM n/u2-app9:1\n"}), Lines())


async def test_a_base_that_only_a_build_could_name_is_refused(tmp_path: Path) -> None:
    hidden = "ARG X=1\nFROM n/u2-${X:+app9}\n"
    with pytest.raises(WorkFailed, match=r"not read before the build: n/u2-\$\{X:\+app9\}") as failed:
        await CONTEXTS.pack(order(tmp_path, {"Dockerfile": hidden}), Lines())
    assert "Write the name out" in (failed.value.advice or "")


async def test_an_id_is_no_name_of_a_base(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="names 3f2a91, which may be the id of an image and not its name") as failed:
        await CONTEXTS.pack(order(tmp_path, {"Dockerfile": "FROM 3f2a91\n"}), Lines())
    assert "3f2a91:latest" in (failed.value.advice or "")


async def test_a_link_within_the_repository_leads_where_it_says(tmp_path: Path) -> None:
    asked = order(tmp_path, {"apps/web/Dockerfile": "FROM base\n", "apps/web/x": ""}, context="current")
    (tmp_path / "source" / "current").symlink_to("apps/web")
    packed = await CONTEXTS.pack(asked, Lines())
    assert members(packed.archive) == {"Dockerfile", "x"}
