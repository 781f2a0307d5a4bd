"""Control groups of single builds: memory, processor time and number of processes, for all a build starts together.

Both layouts of Linux are served. In the second one a group whose own processes are limited cannot have limited
children, so that the groups go beside the runner's own where they cannot go below it.
"""

import asyncio
import contextlib
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_PERIOD: Final = 100_000
_PREFIX: Final = "funai-build-"
_LOOKS: Final = 100
_JOINED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build may use in all; 0: no bound."""

    memory_bytes: int = 0
    cpus: float = 0
    processes: int = 0

    def first_layout(self) -> Mapping[str, Mapping[str, int]]:
        """Files and values by controller, in the order in which they can be written."""
        memory = {"memory.limit_in_bytes": self.memory_bytes, "memory.memsw.limit_in_bytes": self.memory_bytes}
        cpu = {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": int(self.cpus * _PERIOD)}
        wanted = {
            "memory": memory if self.memory_bytes else {},
            "cpu": cpu if self.cpus else {},
            "pids": {"pids.max": self.processes} if self.processes else {},
        }
        return {controller: files for controller, files in wanted.items() if files}

    def second_layout(self) -> Mapping[str, str]:
        """Files and values of one group."""
        wanted = {
            "memory.max": str(self.memory_bytes) if self.memory_bytes else "",
            "memory.swap.max": "0" if self.memory_bytes else "",
            "cpu.max": f"{int(self.cpus * _PERIOD)} {_PERIOD}" if self.cpus else "",
            "pids.max": str(self.processes) if self.processes else "",
        }
        return {file: value for file, value in wanted.items() if value}


class Cgroups:
    """Makes groups with these limits. Those of one `owner` are known by their names: only one process at a time may be
    that owner."""

    def __init__(
        self,
        limits: Limits,
        root: Path = Path("/sys/fs/cgroup"),
        own: Path = Path("/proc/self/cgroup"),
        *,
        owner: str = "",
    ):
        self._limits = limits
        self._prefix = f"{_PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:12]}-" if owner else _PREFIX
        self._root = root
        self._own = own

    async def problem(self) -> str | None:
        """Why the limits cannot be set on this machine, or None. Groups of runners that were killed are removed."""
        try:
            async with self.group() as folders:
                await asyncio.to_thread(_sweep, folders)
                if self._prefix != _PREFIX:
                    await _remove(await asyncio.to_thread(_beside, folders, self._prefix))
                return None
        except OSError as error:
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)

    @contextlib.asynccontextmanager
    async def group(self) -> AsyncIterator[tuple[Path, ...]]:
        """The folders of a new group, to whose `cgroup.procs` the first process writes its id. Raises OSError."""
        made: list[Path] = []
        try:
            await asyncio.to_thread(self._make, made)
            yield tuple(made)
        finally:
            await asyncio.shield(_remove(made))

    def _make(self, made: list[Path]) -> None:
        name = f"{self._prefix}{uuid.uuid4().hex}"
        if (self._root / "cgroup.controllers").exists():
            self._make_one(name, made)
            return
        paths = dict(self._paths())
        for controller, files in self._limits.first_layout().items():
            made.append(self._root / controller / paths.get(controller, "").lstrip("/") / name)
            made[-1].mkdir()
            for file, value in files.items():
                _write(made[-1] / file, str(value))

    def _make_one(self, name: str, made: list[Path]) -> None:
        files = self._limits.second_layout()
        own = self._root / dict(self._paths()).get("", "").lstrip("/")
        for parent in dict.fromkeys((own, own.parent if own != self._root else own, self._root)):
            folder = parent / name
            folder.mkdir()
            if all((folder / file).exists() for file in files if file != "memory.swap.max"):
                made.append(folder)
                break
            folder.rmdir()
        else:
            raise OSError(f"{own}: no group here has the controllers memory, cpu and pids")
        for file, value in files.items():
            _write(made[-1] / file, value)

    def _paths(self) -> Iterator[tuple[str, str]]:
        """The runner's own group by controller; the second layout's has no name."""
        for line in self._own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            yield from ((controller, path) for controller in controllers.split(","))


def _write(path: Path, value: str) -> None:
    """Kernels that do not count swap have no file for it."""
    if "sw" in path.name and not path.exists():
        return
    path.write_text(value)


def _sweep(folders: tuple[Path, ...]) -> None:
    """Empty groups, beside these, that were made long before them: a build joins its group at once."""
    for folder in folders:
        newest = folder.stat().st_mtime - _JOINED_SECONDS
        for path in folder.parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < newest:
                    path.rmdir()


def _beside(folders: tuple[Path, ...], prefix: str) -> list[Path]:
    """Other groups of the same owner: those of a process that was killed."""
    return [path for folder in folders for path in folder.parent.glob(f"{prefix}*") if path != folder]


async def _remove(groups: list[Path]) -> None:
    """A group is busy until its last process is gone, which takes moments after the kill."""
    for _ in range(_LOOKS):
        if await asyncio.to_thread(_all_gone, groups):
            return
        await asyncio.sleep(_LOOK_SECONDS)
    logger.warning("a build's control group could not be removed", extra={"groups": [str(path) for path in groups]})


def _all_gone(groups: list[Path]) -> bool:
    for path in list(groups):
        try:
            path.rmdir()
        except FileNotFoundError:
            groups.remove(path)
        except OSError:
            continue
        else:
            groups.remove(path)
    return not groups
