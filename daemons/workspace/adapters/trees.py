"""Apps' files on this machine's disk, below `{home}/apps/{appId}`, in threads that are the workspaces' user."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from daemons.workspace.adapters.confined import (
    Confinement,
    closing,
    entry_of,
    exchange,
    make_folder,
    make_folders,
    rename_new,
    status_at,
    told,
)
from daemons.workspace.adapters.files_drafts import Drafts, FileDraft
from daemons.workspace.adapters.files_packing import counted, packed
from daemons.workspace.adapters.files_searching import search
from daemons.workspace.adapters.files_staging import Staging
from daemons.workspace.adapters.files_walks import listing
from daemons.workspace.adapters.files_workers import Workers
from daemons.workspace.domain.archive import PackLimits
from daemons.workspace.domain.files import DiskFull, Entry, NotThere, Taken, TooLarge
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.search import Found, SearchLimits, Wanted
from daemons.workspace.domain.tree import Listing, TreeLimits
from daemons.workspace.ports.files import Folders, Rooms

#: Calls of one user that run at once; the others wait, and leave threads to other users.
_EACH: Final = 3

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Disk:
    """The homes of all users and the threads that reach them."""

    def __init__(self, homes: Folders, confined: Confinement, rooms: Rooms | None = None) -> None:
        """`rooms` are asked before anything is written, where there are any."""
        self.rooms = rooms
        self.confined = confined
        self.staging = Staging(confined)
        self.workers = Workers(confined.uid)
        self._homes = homes
        self._openers = Workers(None, threads=2)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def close(self) -> None:
        """No more work."""
        self.workers.close()
        self._openers.close()

    @asynccontextmanager
    async def home(self, user_id: str) -> AsyncIterator[int]:
        """The user's folder, open for as long as the block lasts: it cannot be unmounted meanwhile."""
        folder = await self._homes.ready(user_id)
        descriptor = await self._openers.open(lambda: _home(folder), os.close)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    async def run(
        self, user_id: str, work: Callable[Concatenate[int, Given], Result], *given: Given.args, **named: Given.kwargs
    ) -> Result:
        """What the work does in the user's folder, when it is the user's turn."""
        turn = self._turns.setdefault(user_id, asyncio.Semaphore(_EACH))
        async with turn, self.home(user_id) as home:
            return await self.workers.run(work, home, *given, **named)


def _home(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


class DiskSource:
    """An open file."""

    def __init__(self, workers: Workers, descriptor: int) -> None:
        self._workers = workers
        self._descriptor = descriptor
        self._entry = entry_of(os.fstat(descriptor))

    @property
    def entry(self) -> Entry:
        """As it was when it was opened."""
        return self._entry

    async def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes."""
        with told():
            return await self._workers.run(os.pread, self._descriptor, size, offset)

    def close(self) -> None:
        """No read is under way."""
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class DiskTree:
    """One app's files."""

    disk: Disk
    user_id: str
    app_id: str

    async def listing(self, path: Parts, limits: TreeLimits) -> Listing:
        """The folder's entries."""
        return await self._run(lambda home, app: listing(self.disk.confined, app, path, limits))

    async def read(self, path: Parts, most: int) -> tuple[bytes, Entry]:
        """A whole file."""
        return await self._run(lambda home, app: _read(self.disk.confined, app, path, most))

    async def search(self, path: Parts, wanted: Wanted, limits: SearchLimits) -> Found:
        """Names and contents."""
        return await self._run(lambda home, app: search(self.disk.confined, app, path, wanted, limits))

    @asynccontextmanager
    async def opened(self, path: Parts) -> AsyncIterator[DiskSource]:
        """A file of any size."""
        async with self.disk.home(self.user_id) as home:

            def work() -> DiskSource:
                with closing(self._app(home)) as app, told():
                    return DiskSource(self.disk.workers, self.disk.confined.file(app, path))

            source = await self.disk.workers.open(work, DiskSource.close)
            try:
                yield source
            finally:
                source.close()

    @asynccontextmanager
    async def draft(self) -> AsyncIterator[FileDraft]:
        """A file in the making."""
        async with self.disk.home(self.user_id) as home:
            drafts = Drafts(self.disk.workers, self.disk.confined, self.disk.staging, self.disk.rooms)
            async with drafts.draft(self.user_id, self.app_id, home) as draft:
                yield draft

    @asynccontextmanager
    async def partial(self, upload_id: str, offset: int) -> AsyncIterator[FileDraft]:
        """A file in the making that lasts."""
        async with self.disk.home(self.user_id) as home:
            await self.disk.workers.run(lambda: os.close(self._app(home)))
            drafts = Drafts(self.disk.workers, self.disk.confined, self.disk.staging, self.disk.rooms)
            async with drafts.partial(self.user_id, self.app_id, home, upload_id, offset) as draft:
                yield draft

    async def count(self, path: Parts, limits: PackLimits) -> None:
        """What would be packed."""
        await self._run(lambda home, app: counted(self.disk.confined, app, path, limits))

    @asynccontextmanager
    async def packed(self, path: Parts, ignored: frozenset[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """A folder as a zip."""
        async with self.disk.home(self.user_id) as home:
            workers = self.disk.workers
            app = await workers.open(lambda: self._app(home), os.close)
            pieces = packed(self.disk.confined, app, path, ignored)

            async def each() -> AsyncIterator[bytes]:
                while piece := await workers.run(next, pieces, b""):
                    yield piece

            try:
                yield each()
            finally:
                await workers.run(pieces.close)
                os.close(app)

    async def make_folder(self, path: Parts, *, parents: bool) -> None:
        """A folder."""
        await self._run(lambda home, app: _make_folder(self.disk.confined, app, path, parents))

    async def remove(self, path: Parts) -> None:
        """Whatever lies there."""
        await self._run(lambda home, app: self._removed(home, app, path))
        if self.disk.rooms is not None:
            self.disk.rooms.freed(self.user_id)

    async def move(self, source: Parts, target: Parts, *, overwrite: bool) -> None:
        """At once."""
        await self._run(lambda home, app: self._moved(home, app, source, target, overwrite))

    def _app(self, home: int) -> int:
        with told():
            try:
                return self.disk.confined.folder(home, ("apps", self.app_id))
            except FileNotFoundError:
                raise NotThere("the user has no such app here; ensure-dir makes its folder") from None

    async def _run(self, work: Callable[[int, int], Result]) -> Result:
        def confined(home: int) -> Result:
            with closing(self._app(home)) as app, told():
                return work(home, app)

        return await self.disk.run(self.user_id, confined)

    def _removed(self, home: int, app: int, path: Parts) -> None:
        try:
            folder = self.disk.confined.folder(app, path[:-1])
        except (FileNotFoundError, NotADirectoryError):
            return
        with closing(folder):
            try:
                with closing(self.disk.staging.opened(self.user_id, home)) as staging:
                    self.disk.staging.remove(staging, folder, path[-1])
            except OSError as error:
                # A full disk may have no room for the folder that things leave through; there must be a way out.
                if not isinstance(_as_told(error), DiskFull):
                    raise
                self.disk.staging.removal(folder).remove(folder, path[-1])

    def _moved(self, home: int, app: int, source: Parts, target: Parts, overwrite: bool) -> None:
        with closing(self.disk.confined.folder(app, source[:-1])) as old:
            if status_at(old, source[-1]) is None:
                raise NotThere("path: nothing is there to be moved")
            if source == target:
                return
            with closing(make_folders(self.disk.confined, app, target[:-1])) as new:
                try:
                    rename_new(old, source[-1], new, target[-1])
                except FileExistsError:
                    if not overwrite:
                        raise Taken("toPath: something is there already") from None
                    exchange(old, source[-1], new, target[-1])
                    with closing(self.disk.staging.opened(self.user_id, home)) as staging:
                        self.disk.staging.remove(staging, old, source[-1])


def _as_told(error: OSError) -> Exception:
    try:
        with told():
            raise error
    except Exception as said:  # noqa: BLE001 - whatever it is called, it is handed back
        return said


def _read(confined: Confinement, app: int, path: Parts, most: int) -> tuple[bytes, Entry]:
    with closing(confined.file(app, path)) as descriptor:
        pieces, length = [], 0
        while piece := os.pread(descriptor, most + 1 - length, length):
            pieces.append(piece)
            length += len(piece)
        if length > most:
            raise TooLarge(f"the file has more than {most} bytes; download it")
        return b"".join(pieces), entry_of(os.fstat(descriptor))


def _make_folder(confined: Confinement, app: int, path: Parts, parents: bool) -> None:
    if parents:
        os.close(make_folders(confined, app, path))
        return
    with closing(confined.folder(app, path[:-1])) as above:
        make_folder(above, path[-1])


class DiskTrees:
    """The apps of all users."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def app(self, user_id: str, app_id: str) -> DiskTree:
        """One app's files."""
        return DiskTree(self._disk, user_id, app_id)

    async def make_app(self, user_id: str, app_id: str) -> None:
        """Its folder."""

        def work(home: int) -> None:
            with told(), suppress(FileExistsError):
                os.close(make_folders(self._disk.confined, home, ("apps", app_id)))

        await self._disk.run(user_id, work)
