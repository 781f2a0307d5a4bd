"""Puts what another node sends into a user's folder that nobody else uses yet.

What comes was made by the user: paths are resolved by the kernel from the folder, over no link, and nothing but files,
folders and links is made, as the user's. The folder's files are what the last whole pass left, and parts of one that
broke off: a pass tells all that differs from the former.
"""

import errno
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass

from daemons.workspace.adapters.confined import (
    Confinement,
    closing,
    make_folder,
    name_bytes,
    status_at,
    sync_disk,
    told,
)
from daemons.workspace.adapters.copy_walks import Walk
from daemons.workspace.adapters.files_removal import Removal
from daemons.workspace.adapters.files_staging import STAGING
from daemons.workspace.domain.copying import (
    Beginning,
    CopyRefused,
    Data,
    Ending,
    Failing,
    Frame,
    Frames,
    Item,
    Sort,
    SourceFailed,
)
from daemons.workspace.domain.files import DiskFull


@dataclass(slots=True)
class Came:
    """What one pass brought."""

    token: str = ""
    files: int = 0
    sent_bytes: int = 0
    skipped: tuple[str, ...] = ()
    tree: str = ""


class Receiving:
    """One pass into one user's folder. `after` is the pass that it must follow, `room` how many bytes may come."""

    def __init__(self, confined: Confinement, home: int, after: str, room: int) -> None:
        self.came = Came()
        self._confined = confined
        self._home = home
        self._after = after
        self._room = room
        self._frames = Frames()
        self._staging = _staging(confined, home)
        self._fresh = 0
        self._file: tuple[int, Item] | None = None
        self._folder: tuple[str, int, os.stat_result] | None = None
        self._ended = False

    def feed(self, piece: bytes) -> None:
        """Take a piece of the stream. Raises CopyRefused, SourceFailed, DiskFull, FileError, OSError."""
        self.came.sent_bytes += len(piece)
        with told():
            for frame in self._frames.feed(piece):
                self.take(frame)

    def finish(self) -> None:
        """The stream is over; all of it is on the disk. Raises CopyRefused when it broke off, OSError."""
        if not self._ended:
            raise CopyRefused("the copy broke off")
        sync_disk(self._home)

    def same(self) -> bool:
        """Whether the tree is the source's, entry by entry."""
        walk, digest = Walk(self._confined, self._home), hashlib.sha256()
        for met in walk.met():
            digest.update(met.item.line() + b"\n")
        return digest.hexdigest() == self.came.tree

    def close(self) -> None:
        """Nothing is open any more."""
        if self._file is not None:
            os.close(self._file[0])
            self._file = None
        self._leave()
        os.close(self._staging)

    def take(self, frame: Frame) -> None:
        """One frame. Raises as `feed`."""
        if self._ended or (not self.came.token and not isinstance(frame, Beginning)):
            raise CopyRefused("a frame is out of its order")
        if isinstance(frame, Data):
            self._write(frame)
            return
        self._close_file()
        match frame:
            case Beginning():
                self._begin(frame)
            case Item():
                self._put(frame)
            case Failing():
                raise SourceFailed(frame.why)
            case Ending():
                self._leave()
                self.came.skipped, self.came.tree = frame.skipped, frame.tree
                self._ended = True

    def _begin(self, frame: Beginning) -> None:
        if self.came.token or not frame.token:
            raise CopyRefused("a pass begins twice")
        if frame.after and frame.after != self._after:
            raise CopyRefused("this pass follows another one than the copy stands after")
        self.came.token = frame.token
        if not frame.after:
            with os.scandir(self._home) as entries:
                names = [entry.name for entry in entries if entry.name != STAGING]
            for name in names:
                self._remove(self._home, name)

    def _put(self, item: Item) -> None:
        above, _, name = item.path.rpartition("/")
        if item.sort is Sort.GONE:
            try:
                self._remove(self._enter(above), name)
            except OSError as error:
                # Its folder is gone as well, or something else by now.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
            return
        folder = self._enter(above)
        self.came.files += item.sort is not Sort.FOLDER
        match item.sort:
            case Sort.FILE:
                self._remove(folder, name)
                self._file = self._made(folder, name, item), item
            case Sort.FOLDER:
                self._put_folder(folder, name, item)
            case Sort.LINK:
                self._remove(folder, name)
                os.symlink(os.fsencode(item.target), name_bytes(name), dir_fd=folder)
                uid = self._confined.uid
                os.chown(name_bytes(name), uid, uid, dir_fd=folder, follow_symlinks=False)
                times = (item.mtime_ns, item.mtime_ns)
                os.utime(name_bytes(name), ns=times, dir_fd=folder, follow_symlinks=False)
            case Sort.SAME:
                self._put_second(folder, name, item)

    def _made(self, folder: int, name: str, item: Item) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name_bytes(name), flags, 0o600, dir_fd=folder)
        try:
            os.fchown(file, self._confined.uid, self._confined.uid)
            os.ftruncate(file, item.size)
        except BaseException:
            os.close(file)
            raise
        return file

    def _write(self, data: Data) -> None:
        if self._file is None or data.offset + len(data.content) > self._file[1].size:
            raise CopyRefused("a piece is of no file")
        self._room -= len(data.content)
        if self._room < 0:
            raise DiskFull("the workspace's disk is full")
        at, rest = data.offset, memoryview(data.content)
        while rest:
            written = os.pwrite(self._file[0], rest, at)
            at, rest = at + written, rest[written:]

    def _close_file(self) -> None:
        if self._file is None:
            return
        (file, item), self._file = self._file, None
        with closing(file):
            _dress(file, item)

    def _put_folder(self, folder: int, name: str, item: Item) -> None:
        status = status_at(folder, name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            self._remove(folder, name)
            make_folder(folder, name)
        with closing(self._confined.folder(folder, (name,))) as made:
            os.fchown(made, self._confined.uid, self._confined.uid)
            _dress(made, item)

    def _put_second(self, folder: int, name: str, item: Item) -> None:
        self._remove(folder, name)
        above, _, first = item.target.rpartition("/")
        with closing(self._confined.folder(self._home, _parts(above))) as source:
            status = status_at(source, first)
            if status is None or not stat.S_ISREG(status.st_mode):
                raise CopyRefused("a second name is of no file")
            names = name_bytes(first), name_bytes(name)
            os.link(*names, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)

    def _enter(self, path: str) -> int:
        """The folder, open until another one is entered; its times stay what its own entry said."""
        if self._folder is None or self._folder[0] != path:
            self._leave()
            folder = self._confined.folder(self._home, _parts(path))
            self._folder = path, folder, os.fstat(folder)
        return self._folder[1]

    def _leave(self) -> None:
        if self._folder is None:
            return
        (_, folder, status), self._folder = self._folder, None
        with closing(folder):
            os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _remove(self, folder: int, name: str) -> None:
        status = status_at(folder, name)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name_bytes(name), dir_fd=folder)
            return
        Removal(self._confined, self._staging, self._name).remove(folder, name)

    def _name(self) -> str:
        self._fresh += 1
        return f"gone-move-{self._fresh}"


def _dress(descriptor: int, item: Item) -> None:
    os.fchmod(descriptor, item.mode)
    os.utime(descriptor, ns=(item.mtime_ns, item.mtime_ns))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")) if path else ()


def _staging(confined: Confinement, home: int) -> int:
    with suppress(FileExistsError):
        make_folder(home, STAGING)
        os.chown(STAGING, confined.uid, confined.uid, dir_fd=home, follow_symlinks=False)
    return confined.folder(home, (STAGING,))
