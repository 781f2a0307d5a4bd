"""Control groups below a container's own: one for each program, so that all it started ends with it.

Both layouts of Linux: the second kills a group in one step; in the first the freezer's group is frozen, every process
in it is sent the signal, and then they run into it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemons.workspace.domain.programs import checked_tag, group_path

_ROOT: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "funai-"
#: Who is killed still needs the processor once to die, and it may be busy.
_ROUNDS: Final = 1500
_FREEZE_ROUNDS: Final = 200
_LOOK_SECONDS: Final = 0.01


class NoGroup(Exception):
    """The machine lets the node make no control groups."""


class Ended(NoGroup):
    """The container has ended meanwhile."""


def number_inside(pid: int) -> int | None:
    """How a container numbers a process that has this number on this machine; None for one that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


class Groups:
    """The groups of programs in one container, whose first process has the number `pid` on this machine."""

    def __init__(self, pid: int, root: Path = _ROOT) -> None:
        self._second = (root / "cgroup.controllers").exists()
        try:
            text = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError as error:
            raise Ended(f"process {pid} is gone") from error
        path = group_path(text, second_layout=self._second)
        if path is None or path == "/" or ".." in path:
            raise NoGroup("the container has no control group of its own")
        self._parent = root / path.lstrip("/")

    def take(self, tag: str, pid: int) -> None:
        """The process, and all that it will start, is in the group. Raises NoGroup."""
        folder = self._folder(tag)
        try:
            folder.mkdir(exist_ok=True)
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise NoGroup(f"{folder}: {error.strerror}") from error

    def members(self, tag: str) -> tuple[int, ...]:
        """The processes in it."""
        try:
            text = (self._folder(tag) / "cgroup.procs").read_text()
        except OSError:
            return ()
        return tuple(int(line) for line in text.split())

    def everyone(self) -> tuple[int, ...]:
        """All processes of the container."""
        found: list[int] = []
        for procs in self._parent.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found += [int(line) for line in procs.read_text().split()]
        return tuple(found)

    def tags(self) -> tuple[str, ...]:
        """Every program that has a group."""
        with contextlib.suppress(OSError):
            return tuple(path.name.removeprefix(_PREFIX) for path in self._parent.glob(f"{_PREFIX}*"))
        return ()

    def tell(self, tag: str, number: signal.Signals) -> None:
        """Send the signal to every process of the group, none of which can start another meanwhile."""
        if number is signal.SIGKILL and (self._folder(tag) / "cgroup.kill").exists():
            with contextlib.suppress(OSError):
                (self._folder(tag) / "cgroup.kill").write_text("1")
            return
        with self._still(tag):
            for pid in self.members(tag):
                self._signal(tag, pid, number)

    def end(self, tag: str, grace_seconds: float) -> bool:
        """Nothing of the program runs afterwards: a hint first, then the end. Blocks. Whether it is so."""
        self.tell(tag, signal.SIGTERM)
        until = time.monotonic() + grace_seconds
        while self.members(tag) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        for _ in range(_ROUNDS):
            if not self.members(tag):
                break
            self.tell(tag, signal.SIGKILL)
            time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(OSError):
            self._folder(tag).rmdir()
        return not self.members(tag)

    def _folder(self, tag: str) -> Path:
        return self._parent / f"{_PREFIX}{checked_tag(tag)}"

    @contextlib.contextmanager
    def _still(self, tag: str) -> Iterator[None]:
        state = self._folder(tag) / "freezer.state"
        if not state.exists():
            yield
            return
        try:
            with contextlib.suppress(OSError):
                state.write_text("FROZEN")
                for _ in range(_FREEZE_ROUNDS):
                    if state.read_text().strip() == "FROZEN":
                        break
                    time.sleep(_LOOK_SECONDS / 10)
            yield
        finally:
            with contextlib.suppress(OSError):
                state.write_text("THAWED")

    def _signal(self, tag: str, pid: int, number: signal.Signals) -> None:
        """Numbers are given out again: the process is held before it is looked at."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if f"/{_PREFIX}{tag}" in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
                signal.pidfd_send_signal(handle, number)
        except OSError:
            return
        finally:
            os.close(handle)
