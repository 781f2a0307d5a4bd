"""Files of apps, as the services see them. Every path has passed `domain.paths`; errors are those of `domain.files`.

Whatever implements these ports resolves no path outside of the app it was opened for, while the owner's processes
change the tree at any moment.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from daemons.workspace.domain.archive import ArchiveLimits, PackLimits
from daemons.workspace.domain.changes import Batch
from daemons.workspace.domain.files import Entry, Guard
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.search import Found, SearchLimits, Wanted
from daemons.workspace.domain.tree import Listing, TreeLimits
from daemons.workspace.domain.uploads import Upload

Pieces = AsyncIterator[bytes]


class Source(Protocol):
    """A regular file that is open for reading."""

    @property
    def entry(self) -> Entry:
        """The file as it was when it was opened."""
        ...

    async def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes; none at the end, which is where it is now."""
        ...


class Draft(Protocol):
    """A file in the making, on the user's disk and in nobody's way until it is kept."""

    async def append(self, piece: bytes) -> None:
        """Raises DiskFull."""
        ...

    async def keep(self, path: Parts, guard: Guard, *, parents: bool) -> Entry:
        """Put it at the path at once and for good, over what the guard admits. Raises FileError, and then what lay at
        the path still lies there."""
        ...

    async def unpack(self, limits: ArchiveLimits, *, overwrite: bool) -> None:
        """Let what it holds, a zip, become the app's content at once, but for the names that are kept. Without
        `overwrite`, only of an app that has none. Raises ArchiveRefused and FileError; then the app is as it was."""
        ...


class Partial(Draft, Protocol):
    """A draft that outlasts requests and restarts of the node, until it is kept or discarded."""

    async def settle(self) -> None:
        """What was appended survives a crash of the machine. Raises DiskFull."""
        ...

    async def discard(self) -> None:
        """Gone."""
        ...


class UploadRecords(Protocol):
    """What the node remembers of uploads; users cannot write it. Every method raises RecordError."""

    async def all(self) -> Sequence[Upload]:
        """All users'."""
        ...

    async def find(self, upload_id: str) -> Upload | None:
        """One; the id may be any text."""
        ...

    async def save(self, upload: Upload) -> None:
        """It survives a crash of the machine afterwards."""
        ...

    async def forget(self, upload_id: str) -> None:
        """Whether or not there is one."""
        ...


class Tree(Protocol):
    """The files of one app."""

    async def listing(self, path: Parts, limits: TreeLimits) -> Listing:
        """The folder's entries level by level, without what is ignored; links are not followed."""
        ...

    async def read(self, path: Parts, most: int) -> tuple[bytes, Entry]:
        """A whole file. Raises TooLarge beyond `most` bytes."""
        ...

    def opened(self, path: Parts) -> AbstractAsyncContextManager[Source]:
        """A file of any size."""
        ...

    def draft(self) -> AbstractAsyncContextManager[Draft]:
        """An empty file in the making; gone at the end unless it was kept."""
        ...

    async def search(self, path: Parts, wanted: Wanted, limits: SearchLimits) -> Found:
        """Names and contents below a folder, as far as the limits go."""
        ...

    def partial(self, upload_id: str, offset: int) -> AbstractAsyncContextManager[Partial]:
        """An upload's draft as it was at the offset, a new one at 0. Raises NotThere when there is less of it."""
        ...

    async def count(self, path: Parts, limits: PackLimits) -> None:
        """Raises TooLarge for a folder beyond the limits, NotThere for one without files."""
        ...

    def packed(self, path: Parts, ignored: frozenset[str]) -> AbstractAsyncContextManager[Pieces]:
        """A folder as a zip that is made while it is read; its last piece was read when it ends without an error."""
        ...

    async def make_folder(self, path: Parts, *, parents: bool) -> None:
        """With `parents`, whatever is missing of it, and a folder that is there is fine; else exactly that one."""
        ...

    async def remove(self, path: Parts) -> None:
        """With all that is in it; what is not there is removed already."""
        ...

    async def move(self, source: Parts, target: Parts, *, overwrite: bool) -> None:
        """At once. What lay at the target is removed, or Taken raised."""
        ...


class Trees(Protocol):
    """The apps of all users of this node."""

    def app(self, user_id: str, app_id: str) -> Tree:
        """An app's files; each call on them raises NotThere when the user has no such app, and HomeError."""
        ...

    async def make_app(self, user_id: str, app_id: str) -> None:
        """An empty folder for an app that has none."""
        ...


class Folders(Protocol):
    """Where users' files are."""

    async def ready(self, user_id: str) -> Path:
        """The user's folder, there and mounted. Raises HomeError."""
        ...


class Rooms(Protocol):
    """Room on users' disks, where the kernel does not keep it."""

    async def left(self, user_id: str) -> int | None:
        """Bytes that the user may still store; None where the kernel says so when it is full. Raises HomeError."""
        ...

    async def take(self, user_id: str, count: int) -> None:
        """So many bytes are about to be written. Raises DiskFull, HomeError."""
        ...

    def freed(self, user_id: str) -> None:
        """Something was removed."""
        ...


class Ensure(Protocol):
    """What runs a user's container."""

    async def ensured(self, user_id: str) -> None:
        """The container runs. Raises what the engine does."""
        ...


class AppWatch(Protocol):
    """An app whose changes are seen."""

    async def next(self, seconds: float) -> Batch | None:
        """What changed, as soon as something did; None when the app is gone or watching ends. Raises TimeoutError
        after `seconds` without a change."""
        ...


class Watches(Protocol):
    """Sees what changes."""

    def watching(self, user_id: str, app_id: str) -> AbstractAsyncContextManager[AppWatch]:
        """An app, for as long as the block lasts. Raises NotThere, TooManyWatchers, HomeError."""
        ...
