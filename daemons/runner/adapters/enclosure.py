"""Runs programs that a stranger's code may take over, as a user that owns nothing on this machine.

The program is root only within a user namespace; outside it is one of 65,536 ids that no account has. It has mounts,
processes, devices and a folder of its own, and control groups when limits are wanted. When the runner ends it, or ends
itself, the kernel ends every process in it at once, because the first process of their namespace dies.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.runner.adapters import process
from daemons.runner.adapters.cgroups import Cgroups
from daemons.runner.ports import LogSink

logger = logging.getLogger(__name__)

#: Above the range that systemd gives to containers and below the end of 31 bits: ids nobody else gives away.
FIRST_ID: Final = 1_900_000_000
_COUNT: Final = 65_536
_SCRIPT: Final = Path(__file__).with_name("enclosure.sh")
_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--ipc", "--uts")
NEEDED: Final = ("unshare", "setpriv", "mount", "sh")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Enclosure:
    """Programs that share one store folder, each in a room of its own."""

    def __init__(self, base: Path, cgroups: Cgroups | None) -> None:
        self.store = base / "store"
        self._jobs = base / "jobs"
        self._cgroups = cgroups

    async def prepare(self) -> None:
        """Make the folders and remove what a killed runner left. Raises OSError."""
        await asyncio.to_thread(self._prepare)

    @contextlib.asynccontextmanager
    async def job(self) -> AsyncIterator[Path]:
        """A new folder, `/mnt/job` within, that belongs to the program's root; gone at the end. Raises OSError."""
        folder = await asyncio.to_thread(self._new_job)
        try:
            yield folder
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, folder))

    async def run(
        self,
        argv: Sequence[str],
        job: Path,
        log: LogSink | None,
        *,
        env: Mapping[str, str],
        network: bool = True,
        keep: Sequence[int] = (),
    ) -> tuple[int, str]:
        """The exit code and the end of the output; a cancelled call leaves no process. The program inherits the
        descriptors to `keep`. Raises OSError."""
        within = {"PATH": _PATH, "HOME": "/mnt/job", "TMPDIR": "/mnt/job", "LC_ALL": "C.UTF-8", **env}
        namespaces = _NAMESPACES if network else (*_NAMESPACES, "--net")
        async with contextlib.AsyncExitStack() as stack:
            groups = await stack.enter_async_context(self._cgroups.group()) if self._cgroups else ()
            places = (str(job), str(self.store), ":".join(str(path) for path in groups))
            script = ("sh", str(_SCRIPT), str(FIRST_ID), str(_COUNT), *places)
            inner = ["unshare", *namespaces, "--", *script, *argv]
            # The first process of a namespace heeds no SIGTERM: to wait for it would be a second lost.
            return await process.run(inner, cwd=job, env=within, log=log, keep=keep, grace=0)

    def _prepare(self) -> None:
        self._jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._jobs.iterdir():
            _remove(left)
        self.store.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.store, FIRST_ID, FIRST_ID)

    def _new_job(self) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._jobs))
        os.chown(folder, FIRST_ID, FIRST_ID)
        return folder


def give(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """Write a file that belongs to the program's root."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchown(file.fileno(), FIRST_ID, FIRST_ID)
        file.write(text.encode() if isinstance(text, str) else text)


@contextlib.asynccontextmanager
async def whisper(text: bytes) -> AsyncIterator[int]:
    """A descriptor of a text that is in memory alone, for the program's root to read as `/proc/self/fd/NUMBER`: it has
    no name on any disk, and is gone with the last process that has it, however that ends."""
    made = os.memfd_create("whisper", os.MFD_CLOEXEC)
    # The single digits are those that a shell's script may want for itself.
    descriptor = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(made)
    try:
        os.fchown(descriptor, FIRST_ID, FIRST_ID)
        os.fchmod(descriptor, 0o400)
        await asyncio.to_thread(os.write, descriptor, text)
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        logger.warning("a build's folder could not be removed", extra={"path": str(path), "error": str(error)})
