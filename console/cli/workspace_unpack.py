"""Takes an archive that somebody hostile may have written: plain files and folders below one place, through no link."""

import asyncio
import os
import stat
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from console.cli.outcome import Failure
from console.live.plain import line as one_line

_PIECE_BYTES: Final = 128 * 1024
#: Of what an archive says before an entry, all of which is read into memory.
_MOST_HEADER_BYTES: Final = 64 * 1024
_HEADERS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DEEPEST: Final = 128
_MOST_NOTES: Final = 20
#: Told of each piece: its bytes, and whether a file begins with it.
Tell = Callable[[int, bool], None]


class _Entry(tarfile.TarInfo):
    """An entry whose headers are bounded."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > _MOST_HEADER_BYTES:
            raise tarfile.ReadError("an entry's name is longer than any that can be")
        return super()._proc_member(archive)  # type: ignore[misc]


class Unpacking:
    """What is fed to it lies below `place` at the end, under the names that follow the first one."""

    def __init__(self, pipe: int, done: asyncio.Future[None]) -> None:
        self._pipe: int | None = pipe
        self._done = done

    async def feed(self, data: bytes) -> None:
        """The next bytes, as fast as they are written down. Raises Failure."""
        rest = memoryview(data)
        try:
            while rest and self._pipe is not None:
                rest = rest[await asyncio.to_thread(os.write, self._pipe, rest) :]
        except BrokenPipeError:
            await self.finish()

    async def finish(self) -> None:
        """That was all. Raises Failure."""
        self.close()
        try:
            await self._done
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Failure(f"the copy ended early: {one_line(str(error))}") from None

    def close(self) -> None:
        """No more comes."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


@asynccontextmanager
async def unpacking(first: str, place: Path, tell: Tell) -> AsyncIterator[Unpacking]:
    """Takes an archive whose entries are all called `first` or lie below it; `first` becomes `place`."""
    read, write = os.pipe()
    done = asyncio.get_running_loop().run_in_executor(None, _unpacked, read, first, place, tell)
    found = Unpacking(write, done)
    try:
        yield found
    finally:
        found.close()
        await asyncio.gather(done, return_exceptions=True)


def _unpacked(pipe: int, first: str, place: Path, tell: Tell) -> None:
    notes = 0
    with (
        os.fdopen(pipe, "rb", buffering=0) as file,
        tarfile.open(fileobj=file, mode="r|", tarinfo=_Entry, errorlevel=2) as archive,
    ):
        base = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for entry in archive:
                parts = _parts(entry.name, first, place.name)
                if entry.isdir():
                    os.close(_folder(base, parts))
                elif entry.isreg() and not entry.issparse():
                    content = archive.extractfile(entry)
                    if content is not None:
                        _written(base, parts, content, executable=bool(entry.mode & 0o100), tell=tell)
                elif (notes := notes + 1) <= _MOST_NOTES:
                    name = one_line("/".join(parts))
                    sys.stderr.write(f"funai: {name} is no plain file and no folder; it is left out\n")
        finally:
            os.close(base)


def _parts(name: str, first: str, instead: str) -> tuple[str, ...]:
    """The entry's place. Raises tarfile.ReadError for one that lies elsewhere."""
    found = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in found or not found or found[0] != first or len(found) > _DEEPEST:
        raise tarfile.ReadError(f"the archive holds an entry that lies elsewhere: {one_line(name)[:120]}")
    return (instead, *found[1:])


def _folder(base: int, parts: tuple[str, ...]) -> int:
    """A descriptor of the folder, made if need be; a link on the way is an error. Raises OSError."""
    handle = os.dup(base)
    for part in parts:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=handle)
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        finally:
            os.close(handle)
        handle = below
    return handle


def _written(base: int, parts: tuple[str, ...], content: IO[bytes], *, executable: bool, tell: Tell) -> None:
    """Raises OSError, also for a place where something else than a plain file is."""
    folder = _folder(base, parts[:-1])
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(parts[-1], flags, 0o755 if executable else 0o644, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(handle, "wb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "something that is no plain file is in the way", parts[-1])
        os.ftruncate(handle, 0)
        tell(0, True)
        while piece := content.read(_PIECE_BYTES):
            file.write(piece)
            tell(len(piece), False)
