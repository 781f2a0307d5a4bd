"""Files and folders between this machine and a user's workspace, as one stream of tar.

What comes from a workspace is written by whoever the user is: of it only plain files and folders are taken, each below
the chosen place and through no link, and nothing that is there already becomes something else.
"""

import asyncio
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from console.cli.outcome import USAGE, Failure
from console.cli.workspace_exec import code_of_end, shown
from console.cli.workspace_unpack import unpacking
from console.live.cells import size
from console.live.plain import line as one_line
from protocol.client.socket import ClientLine
from protocol.client.transport import Unreachable
from protocol.client.workspace_operators import WorkspaceCalls
from protocol.shell import ShellEnd
from protocol.workspace_operators import ExecEof, ExecStart

_OUTPUT: Final = 1
_PIECE_BYTES: Final = 128 * 1024
_MOST_ERRORS: Final = 4096
_TELL_BYTES: Final = 4 * 1024 * 1024
#: Its parent, so that the archive begins with its own name; a link is taken as what it is.
_SEND: Final = 'cd -P -- "$1" && exec tar -cf - -- "$2"'
#: Into it if it is a folder, else under its name beside it.
_TAKE: Final = 'if [ -d "$1" ]; then cd -P -- "$1" && exec tar -xof -; fi; cd -P -- "$2" && exec tar -xof -'
_IS_FOLDER: Final = '[ -d "$1" ]'


@dataclass(frozen=True, slots=True)
class Remote:
    """A path in a user's workspace; relative ones begin at `/workspace`."""

    user_id: str
    path: str

    @property
    def whole(self) -> PurePosixPath:
        """From the root."""
        return PurePosixPath("/workspace") / self.path


class Progress:
    """Says on standard error how far a copy is, while somebody looks."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = self.bytes = self.files = 0

    def add(self, count: int, begins: bool = False) -> None:
        """So many bytes more; `begins`: of another file."""
        self.bytes += count
        self.files += begins
        if self.bytes - self._told >= _TELL_BYTES and sys.stderr.isatty():
            self._told = self.bytes
            sys.stderr.write(f"\r{self._what}: {size(self.bytes)} …")
            sys.stderr.flush()

    def end(self) -> None:
        """All of it."""
        lead = "\r" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{lead}{self._what}: {self.files} files, {size(self.bytes)}  \n")


def remote_of(text: str) -> Remote | None:
    """`USER:PATH`, or None for a path of this machine."""
    user, colon, path = text.partition(":")
    return Remote(user, path) if colon and user.isdecimal() else None


async def copy(calls: WorkspaceCalls, source: str, target: str) -> Progress:
    """Copy the one to the other. Raises Failure, ClientError."""
    there, here = remote_of(source), remote_of(target)
    if (there is None) == (here is None):
        raise Failure("one of the two must be USER:PATH, and the other a path of this machine", USAGE)
    if there is not None:
        return await _fetched(calls, there, Path(target))
    if here is None:
        raise AssertionError("one of the two is there")
    return await _sent(calls, Path(source), here)


async def _fetched(calls: WorkspaceCalls, source: Remote, target: Path) -> Progress:
    whole = source.whole
    if not whole.name:
        raise Failure("the root of the container cannot be copied; name what is below it", USAGE)
    place = await asyncio.to_thread(_place, target, whole.name)
    progress, errors = Progress(f"{source.user_id}:{source.path}"), bytearray()
    async with calls.workspace_exec(source.user_id) as line, unpacking(whole.name, place, progress.add) as taking:
        await line.send(_order(_SEND, str(whole.parent), whole.name))
        await line.send(ExecEof().to_json().decode())

        async def take(stream: int, data: bytes) -> None:
            if stream == _OUTPUT:
                await taking.feed(data)
            else:
                errors.extend(data[: _MOST_ERRORS - len(errors)])

        _check(await shown(line, take), source.user_id, errors)
        await taking.finish()
    progress.end()
    return progress


async def _sent(calls: WorkspaceCalls, source: Path, target: Remote) -> Progress:
    own = await asyncio.to_thread(_name, source)
    into = target.path.endswith("/") or await _is_folder(calls, target)
    name = own if into else target.whole.name
    if not name:
        raise Failure("the root of the container cannot be replaced; name a place below it", USAGE)
    folder = target.whole if into else target.whole.parent
    progress, errors = Progress(f"{target.user_id}:{folder / name}"), bytearray()

    async def take(_: int, data: bytes) -> None:
        errors.extend(data[: _MOST_ERRORS - len(errors)])

    async with calls.workspace_exec(target.user_id) as line:
        await line.send(_order(_TAKE, str(folder), str(folder)))
        async with asyncio.TaskGroup() as group:
            giving = group.create_task(_given(line, source, name, progress))
            end = await shown(line, take)
            giving.cancel()
        _check(end, target.user_id, errors)
    progress.end()
    return progress


def _place(target: Path, name: str) -> Path:
    """Where what is called so goes. Raises Failure."""
    if target.is_dir():
        return target / name
    if not target.parent.is_dir():
        raise Failure(f"{target.parent} is no folder; make it first", USAGE)
    return target


def _name(source: Path) -> str:
    """What a file or folder of this machine is called. Raises Failure."""
    if source.is_symlink() or not (source.is_file() or source.is_dir()):
        raise Failure(f"{source} is no file and no folder; links are not followed", USAGE)
    return source.resolve().name


async def _is_folder(calls: WorkspaceCalls, target: Remote) -> bool:
    async def ignore(_: int, __: bytes) -> None:
        return

    async with calls.workspace_exec(target.user_id) as line:
        await line.send(_order(_IS_FOLDER, str(target.whole)))
        return code_of_end(await shown(line, ignore), target.user_id) == 0


def _order(script: str, *words: str) -> str:
    return ExecStart(command=("sh", "-c", script, "sh", *words), terminal=False).to_json().decode()


def _check(end: ShellEnd | None, user_id: str, errors: bytearray) -> None:
    """Raises Failure with what the other side said."""
    if code_of_end(end, user_id) != 0:
        said = one_line(errors.decode(errors="replace").strip().splitlines()[0] if errors.strip() else "no reason")
        raise Failure(f"the workspace of user {user_id} could not do it: {said}")


async def _given(line: ClientLine, source: Path, name: str, progress: Progress) -> None:
    """The archive of a file or folder, made while it is sent: plain files and folders alone."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as reader:
        packing = asyncio.get_running_loop().run_in_executor(None, _packed, source, name, write, progress)
        try:
            while piece := await asyncio.to_thread(reader.read, _PIECE_BYTES):
                await line.send(piece)
            await packing
            await line.send(ExecEof().to_json().decode())
        except Unreachable:
            return  # Whoever waits for the answer notices it too, and says so.
        finally:
            reader.close()
            await asyncio.gather(packing, return_exceptions=True)


def _packed(source: Path, name: str, pipe: int, progress: Progress) -> None:
    def chosen(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (entry.isfile() or entry.isdir()):
            sys.stderr.write(f"funai: {one_line(entry.name)} is no plain file and no folder; it is left out\n")
            return None
        # A second name of a file is sent as a file of its own.
        archive.inodes.clear()  # type: ignore[attr-defined]
        progress.add(entry.size if entry.isfile() else 0, entry.isfile())
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with os.fdopen(pipe, "wb") as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.add(source, name, filter=chosen)
