"""Writes a workspace as a gzipped tar while it is sent; nothing of it is ever whole, in memory or on the disk.

The workspace may be used meanwhile: each file is as it was when it was read. One that becomes shorter is filled up.
"""

import errno
import os
import stat
import tarfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing
from daemons.workspace.adapters.copy_walks import Met, Walk
from daemons.workspace.domain.backups import MANIFEST, ROOT, Manifest, Sum
from daemons.workspace.domain.copying import Item, Sort

_PIECE_BYTES: Final = 256 * 1024
_BLOCK: Final = 512
#: Fast, and within a tenth of the smallest for source text.
_LEVEL: Final = 3
_GZIP: Final = 31
_TYPES: Final = {
    Sort.FILE: tarfile.REGTYPE,
    Sort.FOLDER: tarfile.DIRTYPE,
    Sort.LINK: tarfile.SYMTYPE,
    Sort.SAME: tarfile.LNKTYPE,
}


class Writing:
    """One backup of one user's files."""

    def __init__(self, confined: Confinement, home: int, user_id: str, left_out: frozenset[str]) -> None:
        """`left_out`: names of folders that are not taken along, wherever they lie."""
        self._confined = confined
        self._walk = Walk(confined, home, left_out)
        self._user_id = user_id
        self._left_out = left_out
        self._sum = Sum()

    def pieces(self) -> Generator[bytes, None, None]:
        """The archive. Raises CopyRefused for a tree that is too deep, OSError; then it is cut off."""
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        held = bytearray()
        for plain in self._plain():
            held += packer.compress(plain)
            if len(held) >= _PIECE_BYTES:
                yield bytes(held)
                held.clear()
        yield bytes(held) + packer.flush()

    def _plain(self) -> Iterator[bytes]:
        for met in self._walk.met():
            if met.item.sort is Sort.FILE:
                yield from self._file(met)
            else:
                self._sum.entry(met.item)
                yield _head(met.item)
        lists = tuple(self._walk.skipped), tuple(sorted(self._left_out))
        told = Manifest(self._user_id, self._sum.entries, self._sum.content_bytes, self._sum.digest(), *lists)
        document = told.document()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(document), 0o644
        yield info.tobuf(tarfile.PAX_FORMAT) + document + _filled(len(document)) + bytes(2 * _BLOCK)

    def _file(self, met: Met) -> Iterator[bytes]:
        try:
            looked = self._confined.open(met.folder, (met.name,), os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return
            raise
        with closing(looked):
            status = os.fstat(looked)
            if not stat.S_ISREG(status.st_mode):
                return
            file = os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with closing(file):
            status = os.fstat(file)
            item = replace(met.item, size=status.st_size, mtime_ns=status.st_mtime_ns)
            self._sum.entry(item)
            yield _head(item)
            rest = item.size
            while rest:
                piece = os.read(file, min(_PIECE_BYTES, rest)) or bytes(min(_PIECE_BYTES, rest))
                self._sum.content(piece)
                rest -= len(piece)
                yield piece
            yield _filled(item.size)


def _head(item: Item) -> bytes:
    info = tarfile.TarInfo(ROOT + item.path)
    info.type, info.mode = _TYPES[item.sort], item.mode
    info.size = item.size if item.sort is Sort.FILE else 0
    info.linkname = ROOT + item.target if item.sort is Sort.SAME else item.target
    info.mtime = item.mtime_ns // 1_000_000_000
    # To the nanosecond: a number of the format's own would be rounded.
    whole, part = divmod(item.mtime_ns, 1_000_000_000)
    info.pax_headers = {"mtime": f"{whole}.{part:09d}"}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _filled(size: int) -> bytes:
    return bytes(-size % _BLOCK)
