"""Sends a user's files, or what differs since the last pass, piece by piece; nothing of it is ever whole in memory."""

import errno
import hashlib
import os
import stat
import struct
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing, sync_disk
from daemons.workspace.adapters.copy_walks import Met, Walk
from daemons.workspace.domain.copying import (
    BLANK,
    MOST_DATA_BYTES,
    Beginning,
    CopyRefused,
    Data,
    Ending,
    Failing,
    Former,
    Frame,
    Item,
    Sort,
    encoded,
    stamp,
)

_PIECE_BYTES: Final = 256 * 1024
#: Clocks of file systems go in steps of some milliseconds.
_QUIET_NS: Final = 50_000_000
_ENTRY: Final = struct.Struct(">H16s")


class Journal:
    """The stamps of one pass, in a file of the node's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_suffix(".new")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._draft.open("wb")

    def note(self, path: bytes, what: bytes) -> None:
        """Paths come in the order of the walk."""
        self._file.write(_ENTRY.pack(len(path), what) + path)

    def keep(self) -> None:
        """The pass is over; from now on it can be read."""
        self._file.close()
        self._draft.replace(self._path)

    def close(self) -> None:
        """Of a pass that broke off nothing is kept."""
        self._file.close()
        self._draft.unlink(missing_ok=True)


def noted(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """What a journal holds, as it was written. Raises OSError when there is none."""
    with path.open("rb") as file:
        while head := file.read(_ENTRY.size):
            length, what = _ENTRY.unpack(head)
            yield file.read(length), what


class Sending:
    """One pass over one user's files."""

    def __init__(self, confined: Confinement, home: int, former: Former, journal: Journal) -> None:
        self._confined = confined
        self._walk = Walk(confined, home)
        self._home = home
        self._former = former
        self._journal = journal
        self._sent: set[str] = set()
        self._frames = hashlib.sha256()
        self._tree = hashlib.sha256()
        self._quiet_ns = 0

    def pieces(self, beginning: Beginning) -> Generator[bytes, None, None]:
        """The pass as it travels. What the source cannot go on for is told to the target, and ends it."""
        held = bytearray()
        try:
            for frame in self._all(beginning):
                whole = encoded(frame)
                self._frames.update(whole)
                held += whole
                if len(held) >= _PIECE_BYTES:
                    yield bytes(held)
                    held.clear()
            ending = Ending(self._frames.hexdigest(), self._tree.hexdigest(), tuple(self._walk.skipped))
            self._journal.keep()
            yield bytes(held) + encoded(ending)
        except (CopyRefused, OSError) as error:
            yield bytes(held) + encoded(Failing(str(error)))
        finally:
            self._journal.close()

    def _all(self, beginning: Beginning) -> Iterator[Frame]:
        self._quiet_ns = time.time_ns() - _QUIET_NS
        # From now on whoever writes to memory that is a file's changes the file's time again.
        sync_disk(self._home)
        yield beginning
        for met in self._walk.met():
            yield from self._entry(met)
        yield from self._gone(None)

    def _entry(self, met: Met) -> Iterator[Frame]:
        path = os.fsencode(met.item.path)
        yield from self._gone(path)
        if met.item.sort is Sort.FILE:
            yield from self._file(met, path)
            return
        now = self._stamp(met.status, met.item.target)
        renewed = met.item.target in self._sent and met.item.sort is Sort.SAME
        if not self._former.same(path, now) or renewed:
            yield met.item
        self._note(met.item, path, now)

    def _file(self, met: Met, path: bytes) -> Iterator[Frame]:
        now = self._stamp(met.status, "")
        if self._former.same(path, now):
            self._note(met.item, path, now)
            return
        try:
            file = self._opened(met)
        except (FileNotFoundError, NotADirectoryError):
            # Gone since it was met; it will be gone for the next pass as well, which tells the target.
            self._journal.note(path, BLANK)
            return
        with closing(file):
            status = os.fstat(file)
            item = replace(met.item, mode=stat.S_IMODE(status.st_mode), size=status.st_size)
            item = replace(item, mtime_ns=status.st_mtime_ns)
            if status.st_nlink > 1:
                self._sent.add(item.path)
            yield item
            yield from _contents(file, status.st_size)
            self._note(item, path, self._stamp(status, ""))

    def _opened(self, met: Met) -> int:
        """The regular file that was met, for reading."""
        with closing(self._confined.open(met.folder, (met.name,), os.O_PATH)) as looked:
            if not stat.S_ISREG(os.fstat(looked).st_mode):
                raise FileNotFoundError(errno.ENOENT, "something else is there now")
            return os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _gone(self, path: bytes | None) -> Iterator[Frame]:
        for gone in self._former.gone_before(path):
            yield Item(os.fsdecode(gone), Sort.GONE)

    def _note(self, item: Item, path: bytes, now: bytes) -> None:
        self._journal.note(path, now)
        self._tree.update(item.line() + b"\n")

    def _stamp(self, status: os.stat_result, first: str) -> bytes:
        numbers = (status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_mode)
        return stamp(numbers, first, quiet=status.st_ctime_ns < self._quiet_ns) or BLANK


def _contents(file: int, size: int) -> Iterator[Data]:
    """What is written in a file, without its holes; of one that becomes shorter meanwhile, what is still there."""
    at = 0
    while at < size:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
            end = min(size, os.lseek(file, at, os.SEEK_HOLE))
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        while at < end:
            piece = os.pread(file, min(MOST_DATA_BYTES, end - at), at)
            if not piece:
                return
            yield Data(at, piece)
            at += len(piece)
