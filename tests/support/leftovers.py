"""What runners must not leave behind, found by looking: at processes, folders, locks, mounts, engine and storage."""

import json
import os
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

#: What stays in a runner's work folder between jobs.
_KEPT: Final = frozenset({".mirrors", ".runner.lock", ".buildah", ".images", ".layers", ".logs"})
#: What buildah keeps of each app's newest build, for the next one.
_CACHE: Final = "localhost/funai-kept/"
_GROUPS = "/sys/fs/cgroup"


def processes(folder: Path, ours: Collection[int] = ()) -> list[str]:
    """Processes that work in the folder or name it in their arguments or environment, other than these."""
    place, found = str(folder), []
    for process in psutil.process_iter():
        try:
            if process.pid in ours or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if any(place in word for word in words):
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:200]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def outlived(children: Sequence[psutil.Process]) -> list[str]:
    """Those of these processes that are still there."""
    found = []
    for child in children:
        try:
            if child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(f"process {child.pid}: {' '.join(child.cmdline())[:200]}")
        except psutil.NoSuchProcess:
            continue
    return found


def of_work(work: Path) -> list[str]:
    """What is in a runner's work folder and should not be, while it has nothing to do."""
    found = [f"{path}" for path in work.iterdir() if path.name not in _KEPT]
    found += [str(path) for place in (".buildah/jobs", ".images") for path in (work / place).glob("*")]
    for mirror in (work / ".mirrors").glob("*/mirror.git"):
        left = (*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock"), *(mirror / "objects").rglob("tmp_*"))
        found += [str(path) for path in left]
    return found + list(_of_storage(work / ".buildah" / "store" / "root"))


def _of_storage(root: Path) -> Iterator[str]:
    """Working containers and named images in buildah's storage."""
    for path in root.glob("*-containers/containers.json"):
        yield from (f"working container {each['id'][:12]} of {root}" for each in _listed(path))
    for path in root.glob("*-images/images.json"):
        names = [name for each in _listed(path) for name in each.get("names") or ()]
        yield from (f"image {name} in {root}" for name in names if not name.startswith(_CACHE))


def _listed(path: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(path.read_text() or "[]")
    return listed


def mounts(folder: Path) -> list[str]:
    """Mounts below the folder, in this process's own view."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [f"mount {line.split()[1]}" for line in lines if line.split()[1].startswith(f"{folder}/")]


def groups() -> set[str]:
    """Control groups of builds, of any runner of this machine."""
    return {folder for folder, names, _ in os.walk(_GROUPS) if "/funai-build-" in folder and not names}


def containers(engine: str, mark: str) -> list[str]:
    """Containers of the engine with that mark in their command, running or not."""
    lines = _docker(engine, "ps", "-a", "--no-trunc", "--format={{.ID}} {{.Command}}").splitlines()
    return [f"container {line[:12]}: {line[65:200]}" for line in lines if mark in line]


def images(engine: str, namespace: str) -> list[str]:
    """Named images of the namespace, whatever registry their names begin with."""
    lines = _docker(engine, "images", "--format={{.Repository}}:{{.Tag}}").splitlines()
    return [f"image {line}" for line in lines if f"/{namespace}/" in f"/{line}"]


def unnamed(engine: str, namespace: str) -> int:
    """Layers of our builds that have no name any more: the cache that garbage collection bounds."""
    listed = _docker(engine, "images", "-a", "--filter=dangling=true", "--filter=label=funai.managed=1", "--quiet")
    return len(set(listed.split()))


def _docker(engine: str, *argv: str) -> str:
    return subprocess.run(["docker", "-H", engine, *argv], check=True, capture_output=True, text=True).stdout
