"""Children as processes of this machine, each in a process group of its own, dying with the supervisor.

A kill -9 of the supervisor would orphan its children on their ports; the kernel's parent-death signal ends them.
Containers and the engine are not children and live on.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from daemons.supervisor.adapters.output import Output
from daemons.supervisor.ports import Child

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_LINE: Final = 64 * 1024
_DRAIN_SECONDS: Final = 1.0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class OsProcess:
    """One running child and the pump of its output."""

    def __init__(self, process: asyncio.subprocess.Process, pump: "asyncio.Task[None]") -> None:
        self._process = process
        self._pump = pump

    @property
    def pid(self) -> int:
        """Its process id, which is its group's as well."""
        return self._process.pid

    async def wait(self) -> int:
        """The exit code, once the last lines are written (or a second later, if a grandchild holds the pipe)."""
        code = await self._process.wait()
        await asyncio.wait((self._pump,), timeout=_DRAIN_SECONDS)
        return code

    def terminate(self) -> None:
        """SIGTERM."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class OsProcesses:
    """Starts children in the data folder."""

    def __init__(self, folder: Path, output: Output, owner: asyncio.TaskGroup) -> None:
        self._folder = folder
        self._output = output
        self._owner = owner

    async def start(self, child: Child) -> OsProcess:
        """Raises OSError when the program cannot be run."""
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(child.environment),
            cwd=self._folder,
            process_group=0,
            preexec_fn=_die_with(os.getpid()),
            limit=_LONGEST_LINE,
        )
        if process.stdout is None:
            raise OSError(f"{child.name} was started without a pipe for its output")
        pump = self._owner.create_task(self._copy(child.name, process.stdout), name=f"output of {child.name}")
        return OsProcess(process, pump)

    async def _copy(self, name: str, pipe: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await pipe.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    self._output.line(name, error.partial)
                return
            except asyncio.LimitOverrunError as error:
                line = await pipe.readexactly(min(error.consumed, _LONGEST_LINE) or 1)
            self._output.line(name, line.rstrip(b"\r\n"))


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec: ask for SIGKILL at the death of its parent, or end if it is dead."""

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
