"""Logs of attempts on this machine's disk: a file of bytes, and beside it whose they are, for this account only.

What is written outlasts a kill of this process at once, as the kernel has it. It outlasts a crash of the machine when
the attempt has ended (`finish` waits for the disk, before the end is reported); until then the last half minute may be
lost, which is what waiting for the disk at every line would cost too much for.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Sequence, Set
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.kit.clock import Clock
from daemons.runner.domain.leftovers import Leftover
from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import NoFolder
from protocol.base import Wire
from protocol.names import RunnerId

logger = logging.getLogger(__name__)

_LOG: Final = ".log"
_OWNER: Final = ".json"
#: An owner that is being written.
_NEW: Final = ".new"
_KILLED: Final = b"\n[stopped] the runner was ended here, in the middle of its work\n"


class _Owner(Wire):
    """Whose a log is. `ended`: nothing follows in it."""

    job_id: str
    attempt: int
    lease_token: str | None = None
    lease_seconds: float
    runner_id: RunnerId
    ended: bool = False


class FileSpool:
    """A log in a file. Every call opens the file anew, so that none stays open when work is cancelled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.delivered = False

    async def append(self, data: bytes) -> int:
        """Add bytes at the end; answers the length."""
        return await asyncio.to_thread(_append, self._path, data)

    async def read(self, offset: int, most: int) -> bytes:
        """At most `most` bytes from `offset`."""
        return await asyncio.to_thread(_read, self._path, offset, most)

    async def finish(self) -> None:
        """Nothing follows; returns when the disk has it all."""
        await asyncio.to_thread(_finish, self._path)


class DiskSpools:
    """Logs below one folder that is this runner's alone; `runner_id` is who claims."""

    def __init__(self, root: Path, runner_id: str, clock: Clock) -> None:
        self.news = asyncio.Event()
        self.place = str(root)
        self._root = root
        self._runner_id = runner_id
        self._clock = clock
        self._in_use: set[str] = set()

    @contextlib.asynccontextmanager
    async def opened(self, attempt: Attempt) -> AsyncIterator[FileSpool]:
        """An empty log. At the end of the block it is gone when it was `delivered`, else it is left to be delivered.
        Raises NoFolder on entering."""
        name = _name(attempt)
        owner = _Owner(
            job_id=attempt.job_id,
            attempt=attempt.number,
            lease_token=attempt.lease_token,
            lease_seconds=attempt.lease_seconds,
            runner_id=attempt.runner_id or self._runner_id,
        )
        self._in_use.add(name)
        spool = FileSpool(self._root / f"{name}{_LOG}")
        try:
            await self._create(name, owner)
            yield spool
        finally:
            if spool.delivered:
                await asyncio.shield(asyncio.to_thread(_remove, self._root, name))
            self._in_use.discard(name)
            self.news.set()

    async def _create(self, name: str, owner: _Owner) -> None:
        try:
            await asyncio.to_thread(_create, self._root, name, owner)
        except OSError as error:
            raise NoFolder(f"a log in {self._root} cannot be made: {error.strerror or error}") from error

    async def left(self) -> Sequence[Leftover]:
        """Logs that nobody writes into any more, the oldest first; one that a killed runner left gets a last line."""
        now = self._clock.now().timestamp()
        return await asyncio.to_thread(_left, self._root, self._in_use, now)

    async def read(self, left: Leftover, offset: int, most: int) -> bytes:
        """At most `most` bytes from `offset`. Raises OSError."""
        return await asyncio.to_thread(_read, self._root / f"{left.name}{_LOG}", offset, most)

    async def remove(self, left: Leftover) -> None:
        """It is not needed any more."""
        await asyncio.to_thread(_remove, self._root, left.name)


def _name(attempt: Attempt) -> str:
    # An attempt whose claim was undone has its number again, under another lease.
    lease = hashlib.sha256((attempt.lease_token or "").encode("utf-8", "surrogateescape")).hexdigest()
    return f"{attempt.folder_name}-{lease[:12]}"


def _create(root: Path, name: str, owner: _Owner) -> None:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(root / f"{name}{_OWNER}", owner.to_json())
    os.close(os.open(root / f"{name}{_LOG}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    _sync(root)


def _append(path: Path, data: bytes) -> int:
    with path.open("ab") as file:
        length = file.tell()
        try:
            file.write(data)
            file.flush()
        except OSError:
            # A part of it may be there: the next bytes must not follow that.
            with contextlib.suppress(OSError):
                os.truncate(path, length)
            raise
        return file.tell()


def _read(path: Path, offset: int, most: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(most)


def _finish(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    owner = path.with_suffix(_OWNER)
    _write(owner, _Owner.model_validate_json(owner.read_bytes()).model_copy(update={"ended": True}).to_json())
    _sync(path.parent)


def _left(root: Path, in_use: Set[str], now: float) -> list[Leftover]:
    """`in_use` is the living set, and is asked after the folder was read: a name is in it before its files are made, so
    what begins meanwhile is never taken for what a killed runner left."""
    found = []
    for path in list(root.glob(f"*{_NEW}")):
        if path.stem not in in_use:
            path.unlink(missing_ok=True)
    for path in list(root.glob(f"*{_OWNER}")):
        if path.stem in in_use or not path.exists():
            continue
        try:
            found.append(_adopted(path, now))
        except (FileNotFoundError, ValidationError) as error:
            logger.warning("a job's log is of nobody and is removed", extra={"path": str(path), "error": str(error)})
            _remove(root, path.stem)
        except OSError as error:
            logger.warning("a job's log cannot be read", extra={"path": str(path), "error": str(error)})
    return sorted(found, key=lambda left: -left.age)


def _adopted(path: Path, now: float) -> Leftover:
    owner, log = _Owner.model_validate_json(path.read_bytes()), path.with_suffix(_LOG)
    if not owner.ended:
        _end_of_killed(log)
    state = log.stat()
    attempt = Attempt(owner.job_id, owner.attempt, owner.lease_token, owner.lease_seconds, owner.runner_id)
    return Leftover(path.stem, attempt, state.st_size, max(0.0, now - state.st_mtime))


def _end_of_killed(log: Path) -> None:
    """On a full disk the log goes without its last line, and this is tried again at the next look."""
    try:
        if log.stat().st_size:
            _append(log, _KILLED)
        _finish(log)
    except FileNotFoundError:
        raise
    except OSError as error:
        logger.warning("a job's log did not get its last line", extra={"path": str(log), "error": str(error)})


def _remove(root: Path, name: str) -> None:
    """The log first: without it its owner is removed at the next look, while a log without an owner would stay."""
    for suffix in (_LOG, _OWNER):
        try:
            (root / f"{name}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            logger.warning("a job's log could not be removed", extra={"log": name, "error": str(error)})


def _write(path: Path, data: bytes) -> None:
    """The whole file or none of it, for this account only."""
    new = path.with_suffix(_NEW)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
