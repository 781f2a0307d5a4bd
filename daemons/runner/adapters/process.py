"""Runs one program in a process group of its own, so that it and all it started can be ended together.

A runner that is killed cannot end anything. The kernel does it then, by the parent-death signal, which setpriv (of
util-linux) asks for; a machine without setpriv leaves such a program to end by itself.
"""

import asyncio
import codecs
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.runner.adapters.leash import leashed, marked
from daemons.runner.ports import LogSink

_GRACE_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 16 * 1024
_SETPRIV: Final = shutil.which("setpriv")
#: Put before a command line, it ends the program when the process that started it ends. A program that this one
#: starts in turn needs it again.
MORTAL: Final[tuple[str, ...]] = (_SETPRIV, "--pdeathsig", "KILL", "--") if _SETPRIV else ()
_PRLIMIT: Final = shutil.which("prlimit")


def writing_at_most(file_bytes: int) -> tuple[str, ...]:
    """Put before a command line, it keeps the program from making any file larger (prlimit of util-linux)."""
    return (_PRLIMIT, f"--fsize={file_bytes}", "--") if _PRLIMIT else ()


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: LogSink | None,
    keep: Sequence[int] = (),
    grace: float = _GRACE_SECONDS,
) -> tuple[int, str]:
    """The exit code and the last 4,000 characters of the output, all of which goes to the log, if there is one, as it
    is; in what is answered a line that a progress meter rewrote is there once.

    When the call is cancelled, the whole group gets SIGTERM and `grace` seconds later SIGKILL before it returns. Raises
    OSError when the program cannot be started; setpriv, where it is used, says so instead, with code 127. The program
    inherits the descriptors to `keep`.
    """
    process = await _started(argv, cwd, env, keep)
    tail = ""
    async with _ending(process, grace):
        async for text in _output(process):
            tail = (tail + text)[-_CHUNK_BYTES:]
            if log is not None:
                await log.write(text)
        code = await process.wait()
    return code, _last_versions(tail)[-4000:]


async def read(
    argv: Sequence[str], take: Callable[[bytes], None], *, cwd: Path, env: Mapping[str, str], keep: Sequence[int] = ()
) -> int:
    """As `run`, but `take` gets the output as it comes, in pieces of any size; what it raises ends the program."""
    process = await _started(argv, cwd, env, keep)
    async with _ending(process, _GRACE_SECONDS):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            take(chunk)
        return await process.wait()


async def _started(argv: Sequence[str], cwd: Path, env: Mapping[str, str], keep: Sequence[int]) -> Process:
    return await asyncio.create_subprocess_exec(
        *MORTAL,
        *argv,
        cwd=cwd,
        env=marked(env),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        pass_fds=tuple(keep),
    )


@contextlib.asynccontextmanager
async def _ending(process: Process, grace: float) -> AsyncIterator[None]:
    try:
        with leashed(lambda: _signal_group(process, signal.SIGKILL)):
            yield
    finally:
        if process.returncode is None:
            try:
                if grace:
                    _signal_group(process, signal.SIGTERM)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(grace):
                            await process.wait()
            finally:
                _signal_group(process, signal.SIGKILL)
            await process.wait()
            await _drained(process)


async def _drained(process: Process) -> None:
    """A pipe that is not read to its end stays open until the loop is gone."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            while await process.stdout.read(_CHUNK_BYTES):
                pass


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _output(process: Process) -> AsyncIterator[str]:
    """Text as it comes."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def _last_versions(text: str) -> str:
    """Of each line that a progress meter rewrote what it was last."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
