"""The build context: a tar of the sources, made in a thread and into a file, never in memory.

`.git` stays out, and what `.dockerignore` excludes. Symbolic links go along as links: the engine resolves them inside
its own root. Owner and group are root, as with `docker build`. A Dockerfile that is not a plain file inside the
sources is refused before anything is read.
"""

import asyncio
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.ignore import Ignore, parse
from protocol.errors import JobReason

_DEEPEST: Final = 64
_MOST_IGNORE_BYTES: Final = 256 * 1024
_MOST_DOCKERFILE_BYTES: Final = 1024 * 1024


async def pack(tree: Path, target: Path) -> None:
    """Write the tar of `tree` to `target`. Raises WorkFailed. A cancelled call stops the thread at the next file."""
    stop = threading.Event()
    try:
        await asyncio.to_thread(_pack, tree, target, stop)
    except OSError as error:
        raise WorkFailed(
            JobReason.BUILD_FAILED, f"the build context could not be packed: {error.strerror or error}"
        ) from error
    finally:
        stop.set()


def _pack(tree: Path, target: Path, stop: threading.Event) -> None:
    _check_dockerfile(tree)
    ignore = _ignore(tree)
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in _files(tree, "", ignore, 1):
            if stop.is_set():
                return
            member = tar.gettarinfo(tree / path, arcname=path)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            if member.isreg():
                with (tree / path).open("rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)


def _files(tree: Path, inside: str, ignore: Ignore, depth: int) -> Iterator[str]:
    """Folders, plain files and links, parents first, in a fixed order."""
    if depth > _DEEPEST:
        raise WorkFailed(JobReason.BUILD_FAILED, f"the repository nests folders deeper than {_DEEPEST} levels")
    with os.scandir(tree / inside) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{inside}{entry.name}"
        if path == ".git":
            continue
        excluded = ignore.excludes(path)
        kind = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            if not excluded:
                yield path
            if not excluded or ignore.has_exceptions:
                yield from _files(tree, f"{path}/", ignore, depth + 1)
        elif not excluded and (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            yield path


def _check_dockerfile(tree: Path) -> None:
    dockerfile = tree / "Dockerfile"
    real, root = dockerfile.resolve(), tree.resolve()
    if not real.is_relative_to(root) or root / ".git" in real.parents:
        raise WorkFailed(
            JobReason.BUILD_FAILED,
            "the Dockerfile is a link that leads out of the repository",
            advice="Commit the Dockerfile itself.",
        )
    if not real.is_file():
        raise WorkFailed(
            JobReason.BUILD_FAILED,
            "the repository has no Dockerfile at its root",
            advice="Commit a Dockerfile at the root of the repository.",
        )
    if real.stat().st_size > _MOST_DOCKERFILE_BYTES:
        raise WorkFailed(JobReason.BUILD_FAILED, "the Dockerfile is larger than 1 MiB")


def _ignore(tree: Path) -> Ignore:
    path = tree / ".dockerignore"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_IGNORE_BYTES:
        return Ignore()
    return parse(path.read_text(encoding="utf-8", errors="replace").splitlines())
