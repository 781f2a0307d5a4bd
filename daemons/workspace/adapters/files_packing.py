"""Packs folders into a zip while it is sent: nothing of it is ever whole, in memory or on the disk."""

import os
import time
import zipfile
from collections.abc import Generator, Iterator
from typing import IO, Final, cast

from daemons.workspace.adapters.confined import Confinement, closing
from daemons.workspace.adapters.files_walks import walk
from daemons.workspace.domain.archive import PackLimits
from daemons.workspace.domain.files import FileError, Kind, NotThere, TooLarge
from daemons.workspace.domain.paths import Parts, joined
from daemons.workspace.domain.tree import Listed

_PIECE_BYTES: Final = 256 * 1024
_DEEPEST: Final = 256
#: Fast, and within a tenth of the smallest for source text.
_LEVEL: Final = 3


class _Outlet:
    """Takes what the archive writes until it is sent. It cannot seek, so sizes follow the data of each file."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self, at_least: int) -> Iterator[bytes]:
        """What was written, if it is so much."""
        if len(self._held) >= at_least:
            yield bytes(self._held)
            self._held.clear()


def counted(confined: Confinement, app: int, root: Parts, limits: PackLimits) -> None:
    """Raises NotThere when there is nothing to pack, TooLarge when there is more than the limits."""
    files = size = 0
    for listed in walk(confined, app, root, _DEEPEST, frozenset()):
        files += listed.entry.kind is Kind.FILE
        size += listed.entry.size
        if limits.files is not None and files > limits.files:
            raise TooLarge(f"{joined(root)} has more than {limits.files} files")
        if limits.total_bytes is not None and size > limits.total_bytes:
            raise TooLarge(f"{joined(root)} has more than {limits.total_bytes} bytes")
    if not files:
        raise NotThere(f"{joined(root)}: no file is there")


def packed(confined: Confinement, app: int, root: Parts, ignored: frozenset[str]) -> Generator[bytes, None, None]:
    """The archive, in pieces. Links and what is neither file nor folder are left out, as is what goes away meanwhile.
    Raises OSError when a file cannot be read to its end: the archive is cut off then."""
    outlet = _Outlet()
    with zipfile.ZipFile(cast(IO[bytes], outlet), "w", compresslevel=_LEVEL) as archive:
        for listed in walk(confined, app, root, _DEEPEST, ignored):
            if listed.entry.kind is Kind.FOLDER:
                archive.writestr(_info(listed, root, 0o40755), b"")
            elif listed.entry.kind is Kind.FILE:
                yield from _file(confined, app, listed, root, archive, outlet)
            yield from outlet.taken(_PIECE_BYTES)
    yield from outlet.taken(1)


def _file(
    confined: Confinement, app: int, listed: Listed, root: Parts, archive: zipfile.ZipFile, outlet: _Outlet
) -> Iterator[bytes]:
    try:
        descriptor = confined.file(app, listed.path)
    except (OSError, FileError):
        return
    with closing(descriptor):
        info = _info(listed, root, 0o100000 | os.fstat(descriptor).st_mode & 0o755 | 0o600)
        with archive.open(info, "w", force_zip64=True) as target:
            while piece := os.read(descriptor, _PIECE_BYTES):
                target.write(piece)
                yield from outlet.taken(_PIECE_BYTES)


def _info(listed: Listed, root: Parts, mode: int) -> zipfile.ZipInfo:
    name = joined(listed.path[len(root) :]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    name += "/" * (listed.entry.kind is Kind.FOLDER)
    changed = time.localtime(max(0, listed.entry.modified_ms // 1000))[:6]
    info = zipfile.ZipInfo(name, min(max(changed, (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58)))
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
