"""A project's folder as evidence, and the two files of a template written into it.

Nothing here follows a symbolic link, opens anything but a plain file, or reads more than a manifest may have: the
folder is a stranger's.
"""

import os
import stat
from importlib import resources
from pathlib import Path
from typing import Final

from daemons.runner.domain.evidence import MANIFESTS, MOST_BYTES, Tree
from daemons.runner.domain.projects import BaseImages, Recipe, choose, render

_MOST_ENTRIES: Final = 10_000
_MOST_FOLDERS: Final = 200
DOCKERFILE: Final = "Dockerfile"
IGNORE_FILE: Final = ".dockerignore"


def recipe(folder: Path, images: BaseImages) -> Recipe:
    """What a template makes of the project. Raises WorkFailed when none fits, OSError when it cannot be read."""
    choice = choose(look(folder))
    templates = resources.files("daemons.runner.adapters.templates")
    text = (templates / f"{choice.template}.Dockerfile").read_text("utf-8")
    ignore = (templates / f"{choice.template}.dockerignore").read_text("utf-8")
    return Recipe(choice, render(text, {**images.fill(), **choice.fill}), ignore)


def init(folder: Path, images: BaseImages) -> tuple[str, ...]:
    """Write a template's files into a repository, never over what is there; answers what was done, line by line.

    Raises WorkFailed when no template fits, OSError when the folder cannot be read or written.
    """
    if os.path.lexists(folder / DOCKERFILE):
        return (f"{DOCKERFILE} is there already; nothing was written",)
    made = recipe(folder, images)
    lines = [f"template {made.choice.template}, because of:", *(f"  {reason}" for reason in made.choice.why)]
    for name, text in ((DOCKERFILE, made.dockerfile), (IGNORE_FILE, made.dockerignore)):
        lines.append(
            f"wrote {name}" if write_new(folder / name, text) else f"{name} is there already and stays as it is"
        )
    return tuple(lines)


def write_new(path: Path, text: str) -> bool:
    """Whether the file was written: never where something by that name is, be it a link that leads nowhere."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def look(folder: Path) -> Tree:
    """The evidence in a folder. Raises OSError."""
    names, folders = _entries(folder, "")
    for inner in sorted(folders)[:_MOST_FOLDERS]:
        if inner not in (".git", "node_modules"):
            names |= _entries(folder, f"{inner}/")[0]
    texts: dict[str, str] = {}
    unread: dict[str, str] = {}
    for name in MANIFESTS:
        if name in names:
            text = _text(folder / name)
            if text is None:
                unread[name] = f"is larger than {MOST_BYTES // 1024} KiB"
            else:
                texts[name] = text
    return Tree(frozenset(names), texts, unread)


def _entries(folder: Path, inside: str) -> tuple[set[str], set[str]]:
    """Plain files and folders directly within; of more than 10,000 entries those that come first."""
    files: set[str] = set()
    folders: set[str] = set()
    with os.scandir(folder / inside) as entries:
        for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False):
            kind = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISREG(kind):
                files.add(f"{inside}{entry.name}")
            elif stat.S_ISDIR(kind):
                folders.add(entry.name)
    return files, folders


def _text(path: Path) -> str | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    return None if len(data) > MOST_BYTES else data.decode("utf-8-sig", "replace")
