"""Opens what lies in a folder that somebody else changes meanwhile, and nothing outside of it.

Every path is resolved by the kernel from a descriptor, with openat2 (RESOLVE_BENEATH, no magic links, no other file
system): a link, a `..` or a race that leads out is refused while it is followed, not checked before. Where the kernel
has no openat2, each component is opened by itself and no link is followed at all. Files are looked at before they are
opened for good (O_PATH): pipes, sockets and devices never are. A file with several names is refused unless it is the
user's own: on a disk without quota somebody could have linked a file of the machine into it.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain.files import (
    Denied,
    DiskFull,
    Entry,
    FileError,
    Kind,
    NotThere,
    Taken,
    WrongKind,
)
from daemons.workspace.domain.paths import Parts

_OPENAT2: Final = 437
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_NOREPLACE, _EXCHANGE = 1, 2
#: RESOLVE_BENEATH answers EAGAIN when something was renamed meanwhile.
_TRIES: Final = 64
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755

_KINDS: Final = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
_SAID: Final[dict[int, tuple[type[FileError], str]]] = {
    errno.ENOENT: (NotThere, "path: nothing is there"),
    errno.ENOTDIR: (WrongKind, "path: a part of it is no folder"),
    errno.ELOOP: (WrongKind, "path: leads over a symbolic link"),
    errno.EXDEV: (WrongKind, "path: leads out of the app"),
    errno.EISDIR: (WrongKind, "path: is a folder"),
    errno.EINVAL: (WrongKind, "path: cannot be put there"),
    errno.ENXIO: (WrongKind, "path: is no regular file"),
    errno.ENAMETOOLONG: (WrongKind, "path: is too long"),
    errno.EEXIST: (Taken, "path: something is there already"),
    errno.ENOTEMPTY: (Taken, "path: something is there already"),
    errno.EBUSY: (Taken, "path: is in use"),
    errno.EAGAIN: (Taken, "path: changes too fast, or is in use"),
    errno.ETXTBSY: (Taken, "path: is in use"),
    errno.EACCES: (Denied, "path: its mode keeps the workspace's user from it"),
    errno.EPERM: (Denied, "path: its mode keeps the workspace's user from it"),
    errno.ENOSPC: (DiskFull, "the workspace's disk is full"),
    errno.EDQUOT: (DiskFull, "the workspace's disk is full"),
}

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_renameat2 = _libc.renameat2
_renameat2.restype = ctypes.c_int
_renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


class _How(ctypes.Structure):
    """`struct open_how`."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextmanager
def told() -> Iterator[None]:
    """What the kernel refuses, in the words of the domain; what it does not expect passes through."""
    try:
        yield
    except OSError as error:
        kind, text = _SAID.get(error.errno or 0, (None, ""))
        if kind is None:
            raise
        raise kind(text) from None


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """The descriptor for the length of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def entry_of(status: os.stat_result) -> Entry:
    """What a file's status says to those who edit it."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER)
    tag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"'
    return Entry(kind, status.st_size if kind is Kind.FILE else 0, status.st_mtime_ns // 1_000_000, tag)


def name_bytes(name: str) -> bytes:
    """A name as the disk has it; names that are no UTF-8 come from `os.scandir` in this form."""
    return os.fsencode(name)


@dataclass(frozen=True, slots=True)
class Confinement:
    """How paths are resolved: by the kernel, or component by component. `uid` is the workspaces' user."""

    uid: int
    by_kernel: bool = True

    @classmethod
    def of_this_kernel(cls, uid: int) -> "Confinement":
        """By openat2 where there is one (5.6 and later) and nothing forbids it."""
        with closing(os.open("/", _FOLDER)) as root:
            try:
                os.close(cls(uid).open(root, (), _FOLDER))
            except OSError:
                return cls(uid, by_kernel=False)
        return cls(uid)

    def open(self, base: int, path: Sequence[str], flags: int, *, links: bool = False) -> int:
        """A descriptor of the path, or OSError. With `links`, links that stay beneath the base are followed."""
        if not self.by_kernel:
            return self._by_steps(base, path, flags | os.O_CLOEXEC)
        resolve = _BENEATH | _NO_MAGICLINKS | _NO_XDEV | (0 if links else _NO_SYMLINKS)
        how = _How(flags | os.O_CLOEXEC, 0, resolve)
        name = name_bytes("/".join(path) or ".")
        for _ in range(_TRIES):
            found = int(_syscall(_OPENAT2, base, name, ctypes.byref(how), ctypes.sizeof(how)))
            if found >= 0:
                return found
            if ctypes.get_errno() != errno.EAGAIN:
                break
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def folder(self, base: int, path: Sequence[str]) -> int:
        """A folder that no link leads to."""
        return self.open(base, path, _FOLDER)

    def file(self, base: int, path: Sequence[str]) -> int:
        """A regular file for reading, over links within the base. Raises WrongKind for anything else."""
        with closing(self.open(base, path, os.O_PATH, links=True)) as looked:
            status = os.fstat(looked)
            if stat.S_ISDIR(status.st_mode):
                raise WrongKind("path: is a folder")
            if not stat.S_ISREG(status.st_mode):
                raise WrongKind("path: is no regular file")
            if status.st_nlink > 1 and status.st_uid != self.uid:
                raise Denied("path: is another user's file under a second name")
            # A lease on it would let the opening wait for its holder.
            return os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _by_steps(self, base: int, path: Sequence[str], flags: int) -> int:
        *above, name = path or (".",)
        at = os.dup(base)
        try:
            for step in above:
                deeper = os.open(step, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(at)
                at = deeper
            found = os.open(name, flags | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)
        if flags & os.O_PATH and stat.S_ISLNK(os.fstat(found).st_mode):
            os.close(found)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return found


def status_at(folder: int, name: str) -> os.stat_result | None:
    """What lies under a name in an open folder, a link itself; None for nothing."""
    try:
        return os.stat(name_bytes(name), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def make_folder(folder: int, name: str) -> None:
    """One folder. Raises FileExistsError."""
    os.mkdir(name_bytes(name), _FOLDER_MODE, dir_fd=folder)


def make_file(folder: int, name: str) -> int:
    """A new file, open for writing and reading. Raises FileExistsError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name_bytes(name), flags, _FILE_MODE, dir_fd=folder)


def make_folders(confined: Confinement, base: int, path: Parts) -> int:
    """The folder with whatever is missing of its path, open."""
    at = confined.folder(base, ())
    for name in path:
        try:
            try:
                deeper = confined.folder(at, (name,))
            except FileNotFoundError:
                with suppress(FileExistsError):
                    make_folder(at, name)
                deeper = confined.folder(at, (name,))
        finally:
            os.close(at)
        at = deeper
    return at


def write_all(descriptor: int, piece: bytes) -> None:
    """All of it, at the end of what was written before."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_disk(descriptor: int) -> None:
    """Everything that was written to the disk of the descriptor is on it. Raises OSError."""
    if _libc.syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def rename_new(source: int, name: str, target: int, new_name: str) -> None:
    """Rename to a name that is free. Raises FileExistsError."""
    _rename(source, name, target, new_name, _NOREPLACE)


def exchange(source: int, name: str, target: int, new_name: str) -> None:
    """Let two names change places at once. Raises FileNotFoundError when one of them is gone."""
    _rename(source, name, target, new_name, _EXCHANGE)


def _rename(source: int, name: str, target: int, new_name: str, flags: int) -> None:
    if _renameat2(source, name_bytes(name), target, name_bytes(new_name), flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
