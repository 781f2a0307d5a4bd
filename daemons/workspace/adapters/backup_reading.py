"""Reads a backup into a folder that nobody uses yet. What is in it is believed as little as what a user sends."""

import tarfile
from collections.abc import Callable
from typing import IO, Final, cast

from daemons.workspace.adapters.copy_receiving import Receiving
from daemons.workspace.domain.backups import MANIFEST, MOST_MANIFEST_BYTES, Manifest, Sum, manifest_of, named
from daemons.workspace.domain.copying import MOST_DATA_BYTES, Beginning, CopyRefused, Data, Ending, Item, Sort

_SORTS: Final = {
    tarfile.REGTYPE: Sort.FILE,
    tarfile.AREGTYPE: Sort.FILE,
    tarfile.DIRTYPE: Sort.FOLDER,
    tarfile.SYMTYPE: Sort.LINK,
    tarfile.LNKTYPE: Sort.SAME,
}
_TOKEN: Final = "0" * 32


class Arriving:
    """The archive as a file that is read once; `more` gives its next piece, empty at the end."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        """At most so many bytes; fewer only at the end."""
        while len(self._held) < size and (piece := self._more()):
            self._held += piece
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


def restored(into: Receiving, arriving: Arriving) -> Manifest:
    """All of it is in the folder, and is what its manifest says. Raises CopyRefused, FileError, OSError."""
    into.take(Beginning(_TOKEN, ""))
    told, found = None, Sum()
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], arriving), mode="r|gz", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                # What was read is not kept: there may be millions.
                archive.members = []  # type: ignore[attr-defined]
                if told is not None:
                    raise CopyRefused("the backup goes on after its manifest")
                if member.name == MANIFEST:
                    told = manifest_of(_content(archive, member).read(MOST_MANIFEST_BYTES))
                else:
                    _entry(into, found, archive, member)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise CopyRefused(f"the backup cannot be read: {error}") from error
    if told is None:
        raise CopyRefused("the backup has no manifest: it is not whole")
    if (told.entries, told.content_bytes, told.digest) != (found.entries, found.content_bytes, found.digest()):
        raise CopyRefused("the backup is not what its manifest says")
    into.take(Ending("", "", ()))
    into.finish()
    return told


def _entry(into: Receiving, found: Sum, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    sort = _SORTS.get(member.type)
    if sort is None:
        raise CopyRefused("an entry of the backup is no file, folder or link")
    target = named(member.linkname) if sort is Sort.SAME else member.linkname if sort is Sort.LINK else ""
    size = member.size if sort is Sort.FILE else 0
    item = Item(named(member.name), sort, member.mode & 0o7777, size, _time(member), target)
    into.take(item)
    found.entry(item)
    if sort is not Sort.FILE or not size:
        return
    content, at = _content(archive, member), 0
    while piece := content.read(MOST_DATA_BYTES):
        found.content(piece)
        if piece.strip(b"\0"):
            into.take(Data(at, piece))
        at += len(piece)
    if at != size:
        raise CopyRefused("the backup ended early")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise CopyRefused("an entry of the backup has no content")
    return content


def _time(member: tarfile.TarInfo) -> int:
    whole, _, part = member.pax_headers.get("mtime", str(int(member.mtime))).partition(".")
    return int(whole) * 1_000_000_000 + int(part.ljust(9, "0")[:9] or 0)
