"""Extracts an uploaded archive beside an app and lets the two change places.

Until they do, the app is as it was; whatever fails before leaves it so. Of the former content, what an archive never
brings (`KEPT`) is carried over; a crash in between is put right by `files_staging.Staging`.
"""

import codecs
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from daemons.workspace.adapters.confined import (
    Confinement,
    closing,
    exchange,
    make_file,
    make_folder,
    make_folders,
    rename_new,
    status_at,
    sync_disk,
    told,
    write_all,
)
from daemons.workspace.adapters.files_staging import Staging
from daemons.workspace.domain.archive import KEPT, ArchiveLimits, ArchiveRefused, Budget, Packed, Planned, plan
from daemons.workspace.domain.files import Taken
from daemons.workspace.domain.paths import Parts

# Names in old archives are in this encoding. It is loaded here: the workspaces' user, as whom the threads read, may not
# read what Python is made of.
codecs.lookup("cp437")

_PIECE_BYTES: Final = 256 * 1024
#: The directory of an archive is read at once, and each of its entries takes ten times its size in memory.
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class Unpacking:
    """One archive that becomes one app's content. All of it is work for one thread."""

    def __init__(self, confined: Confinement, staging: Staging, limits: ArchiveLimits) -> None:
        self._confined = confined
        self._staging = staging
        self._limits = limits

    def unpack(self, home: int, staging: int, app_id: str, archive: int, *, overwrite: bool) -> None:
        """Raises ArchiveRefused, Taken, or OSError, and then the app is as it was."""
        name = self._staging.swap_name(app_id)
        make_folder(staging, name)
        try:
            with closing(self._confined.folder(staging, (name,))) as inside:
                self._extract(archive, inside)
                sync_disk(inside)
            self._swap(home, staging, name, app_id, overwrite)
        finally:
            self._staging.removal(staging).remove(staging, name)

    def _extract(self, archive: int, folder: int) -> None:
        size = os.fstat(archive).st_size
        with _readable(), zipfile.ZipFile(_Bounded(archive, size)) as packed:
            entries = packed.infolist()
            planned = plan((_packed(entry) for entry in entries), self._limits, size)
            budget = Budget(self._limits, size)
            for each in planned:
                self._extract_one(packed, entries[each.index], each, folder, budget)

    def _extract_one(
        self, packed: zipfile.ZipFile, entry: zipfile.ZipInfo, planned: Planned, folder: int, budget: Budget
    ) -> None:
        if planned.is_folder:
            os.close(make_folders(self._confined, folder, planned.path))
            return
        with (
            packed.open(entry) as content,
            closing(make_folders(self._confined, folder, planned.path[:-1])) as above,
            closing(make_file(above, planned.path[-1])) as file,
        ):
            while piece := content.read(_PIECE_BYTES):
                budget.spend(len(piece))
                write_all(file, piece)
            if planned.executable:
                os.fchmod(file, 0o755)

    def _swap(self, home: int, staging: int, name: str, app_id: str, overwrite: bool) -> None:
        with closing(make_folders(self._confined, home, ("apps",))) as apps:
            if status_at(apps, app_id) is None:
                rename_new(staging, name, apps, app_id)
                return
            exchange(staging, name, apps, app_id)
            try:
                self._carry_over(staging, (name,), apps, (app_id,), overwrite)
            except BaseException:
                exchange(staging, name, apps, app_id)
                raise
            os.fsync(apps)

    def _carry_over(self, staging: int, former: Parts, apps: int, new: Parts, overwrite: bool) -> None:
        with closing(self._confined.folder(staging, former)) as old, closing(self._confined.folder(apps, new)) as app:
            if not overwrite:
                with os.scandir(old) as entries:
                    if next(entries, None) is not None:
                        raise Taken("the app has files already; overwrite them or take them away")
                return
            carried: list[str] = []
            try:
                for kept in KEPT:
                    with suppress(FileNotFoundError):
                        rename_new(old, kept, app, kept)
                        carried.append(kept)
            except BaseException:
                for kept in carried:
                    rename_new(app, kept, old, kept)
                raise


@contextmanager
def _readable() -> Iterator[None]:
    """What is wrong with an archive, as one error; what is wrong with the disk, as that."""
    try:
        yield
    except _UNREADABLE:
        raise ArchiveRefused("the archive cannot be read; it must be a zip") from None


def _packed(entry: zipfile.ZipInfo) -> Packed:
    return Packed(
        entry.orig_filename,
        entry.is_dir(),
        entry.file_size,
        entry.flag_bits,
        entry.external_attr >> 16,
        entry.compress_type,
    )


class _Bounded(io.RawIOBase):
    """An archive that gives no more at once than an honest one is asked for."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._size - self._position if size < 0 else size
        if wanted > _MOST_AT_ONCE:
            raise ArchiveRefused("the archive's directory is too large")
        with told():
            data = os.pread(self._descriptor, max(0, wanted), self._position)
        self._position += len(data)
        return data
