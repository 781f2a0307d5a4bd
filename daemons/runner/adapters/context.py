"""The build context: a tar of the sources, made in a thread and into a file, never in memory.

`.git` stays out, and what `.dockerignore` excludes. Symbolic links go along as links: a builder resolves them inside
its own root. Owner and group are root, as with `docker build`. Context and Dockerfile are looked up with all links
resolved and refused before anything is read when they are not inside the repository. A project without a Dockerfile
gets that of a template.
"""

import asyncio
import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.runner.adapters.project_files import DOCKERFILE, IGNORE_FILE, recipe, write_new
from daemons.runner.domain.dockerfile import images_by_id, images_of_others, unread_images
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.ignore import Ignore, parse
from daemons.runner.domain.projects import BaseImages
from daemons.runner.ports import BuildOrder, LogSink
from protocol.errors import JobReason

_DEEPEST: Final = 64
_MOST_IGNORE_BYTES: Final = 256 * 1024
_MOST_DOCKERFILE_BYTES: Final = 1024 * 1024
#: What a Dockerfile from outside the context is called within the tar.
_BESIDE: Final = ".funai.Dockerfile"


@dataclass(frozen=True, slots=True)
class Packed:
    """A tar of the context, the Dockerfile's name and text in it, and what a COPY must not see although it is there."""

    archive: Path
    dockerfile: str
    text: str
    hidden: tuple[str, ...]


class Contexts:
    """Makes the context of a build; `images` are what templates stand on, `arguments` what every build is given."""

    def __init__(self, images: BaseImages, arguments: Mapping[str, str] | None = None) -> None:
        self._images = images
        self._arguments = arguments or {}

    async def pack(self, order: BuildOrder, log: LogSink) -> Packed:
        """Write the context's tar beside the sources. Raises WorkFailed.

        A cancelled call stops the thread at the next file.
        """
        stop = threading.Event()
        try:
            root = order.folder / "source"
            context, dockerfile, why = await asyncio.to_thread(_find, root, order, self._images)
            if why:
                await log.write(why)
            packed = await asyncio.to_thread(_pack, context, dockerfile, order.folder / "context.tar", stop)
        except OSError as error:
            raise _refused(f"the build context could not be packed: {error.strerror or error}") from error
        finally:
            stop.set()
        if unread := unread_images(packed.text, self._arguments):
            raise WorkFailed(
                JobReason.BUILD_FAILED,
                f"the Dockerfile names an image in a way that is not read before the build: {unread[0][:200]}",
                advice="Write the name out, or as ${NAME} or ${NAME:-default} of an ARG with a plain value before the "
                "first FROM.",
            )
        if ids := images_by_id(packed.text, self._arguments):
            raise WorkFailed(
                JobReason.BUILD_FAILED,
                f"the Dockerfile names {ids[0][:100]}, which may be the id of an image and not its name",
                advice=f"Name the image with its tag, such as {ids[0][:20]}:latest if that is its name.",
            )
        own = order.names.immutable.rpartition(":")[0]
        if others := images_of_others(packed.text, self._arguments, own):
            raise WorkFailed(
                JobReason.BUILD_FAILED,
                f"the Dockerfile names {others[0][:300]}, which is the image of another app",
                advice="Begin from a base image, or copy what you need into the repository.",
            )
        return packed


def _find(root: Path, order: BuildOrder, images: BaseImages) -> tuple[Path, Path, str]:
    """The context's folder and the Dockerfile, links resolved; and what the log should say about a template."""
    root = root.resolve()
    context = _inside(root, order.context or ".", "buildContext")
    if not context.is_dir():
        raise _refused(f"buildContext {order.context} is no folder of the repository")
    if order.dockerfile:
        return context, _checked(_inside(root, order.dockerfile, "dockerfilePath"), order.dockerfile), ""
    for folder in (context, root):
        if os.path.lexists(folder / DOCKERFILE):
            return context, _checked(_inside(root, str((folder / DOCKERFILE).relative_to(root)), "Dockerfile")), ""
    made = recipe(context, images)
    write_new(context / DOCKERFILE, made.dockerfile)
    write_new(context / IGNORE_FILE, made.dockerignore)
    reasons = "".join(f"  {reason}\n" for reason in made.choice.why)
    return (
        context,
        context / DOCKERFILE,
        f"no Dockerfile: the template {made.choice.template} is used, because of\n{reasons}",
    )


def _inside(root: Path, path: str, what: str) -> Path:
    """The path within the repository with all links resolved. Raises WorkFailed when it leads out of it."""
    try:
        real = (root / path).resolve()
    except RuntimeError:  # how Python 3.11 tells a loop of links
        raise _refused(f"{what} {path} is a loop of links") from None
    if not real.is_relative_to(root) or root / ".git" in (real, *real.parents):
        raise WorkFailed(
            JobReason.BUILD_FAILED,
            f"{what} {path} leads out of the repository"
            if path != what
            else f"the {what} is a link that leads out of the repository",
            advice=f"Commit the {'folder' if what == 'buildContext' else 'file'} itself.",
        )
    return real


def _checked(dockerfile: Path, asked: str | None = None) -> Path:
    if not dockerfile.is_file():
        missing = (
            f"dockerfilePath {asked} is no file of the repository" if asked else "the Dockerfile is not a plain file"
        )
        raise _refused(missing)
    if dockerfile.stat().st_size > _MOST_DOCKERFILE_BYTES:
        raise _refused("the Dockerfile is larger than 1 MiB")
    return dockerfile


def _pack(context: Path, dockerfile: Path, target: Path, stop: threading.Event) -> Packed:
    ignored = _ignore_text((target.parent / "source").resolve(), context)
    ignore = parse(ignored.splitlines())
    beside = not dockerfile.is_relative_to(context)
    name = _BESIDE if beside else str(dockerfile.relative_to(context))
    always = {name, IGNORE_FILE}
    hidden = {path for path in always if ignore.excludes(path)} | ({_BESIDE} if beside else set())
    text = dockerfile.read_text("utf-8", "replace")
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in _files(context, "", _Wanted(ignore, frozenset(always)), 1):
            if stop.is_set():
                break
            if path != _BESIDE and not (beside and path == IGNORE_FILE):
                _add(tar, context / path, path)
        if beside:
            _add(tar, dockerfile, name)
            _hide(tar, ignored)
    return Packed(target, name, text, tuple(sorted(hidden)))


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    member = tar.gettarinfo(path, arcname=name)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    if member.isreg():
        with path.open("rb") as file:
            tar.addfile(member, file)
    else:
        tar.addfile(member)


def _hide(tar: tarfile.TarFile, ignored: str) -> None:
    """The `.dockerignore` with one line more, for the Dockerfile that came from elsewhere."""
    data = f"{ignored}\n{_BESIDE}\n".encode(errors="replace")
    member = tarfile.TarInfo(IGNORE_FILE)
    member.size, member.mode = len(data), 0o644
    tar.addfile(member, io.BytesIO(data))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What goes into the context: all that is not ignored, and what the builder reads itself."""

    ignore: Ignore
    always: frozenset[str]

    def leaves_out(self, path: str) -> bool:
        return path not in self.always and self.ignore.excludes(path)

    def may_hold(self, folder: str) -> bool:
        """Whether a folder that is left out may hold something that is not."""
        return self.ignore.has_exceptions or any(path.startswith(f"{folder}/") for path in self.always)


def _files(tree: Path, inside: str, wanted: _Wanted, depth: int) -> Iterator[str]:
    """Folders, plain files and links, parents first, in a fixed order."""
    if depth > _DEEPEST:
        raise _refused(f"the repository nests folders deeper than {_DEEPEST} levels")
    with os.scandir(tree / inside) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{inside}{entry.name}"
        if path == ".git":
            continue
        excluded = wanted.leaves_out(path)
        kind = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            if not excluded:
                yield path
            if not excluded or wanted.may_hold(path):
                yield from _files(tree, f"{path}/", wanted, depth + 1)
        elif not excluded and (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            yield path


def _ignore_text(root: Path, context: Path) -> str:
    """What the context's `.dockerignore` says. Raises WorkFailed for one that cannot be read as such: passing it over
    would put into the image what its owner keeps out."""
    if not os.path.lexists(context / IGNORE_FILE):
        return ""
    path = _inside(root, str((context / IGNORE_FILE).relative_to(root)), IGNORE_FILE)
    if not path.is_file():
        raise _refused(f"the {IGNORE_FILE} is not a plain file")
    if path.stat().st_size > _MOST_IGNORE_BYTES:
        raise _refused(f"the {IGNORE_FILE} is larger than {_MOST_IGNORE_BYTES // 1024} KiB")
    return path.read_text(encoding="utf-8", errors="replace")


def _refused(text: str) -> WorkFailed:
    return WorkFailed(JobReason.BUILD_FAILED, text)
