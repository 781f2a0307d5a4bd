"""Files in the making: written aside, then put into place with one rename that either happens or does not."""

import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from daemons.workspace.adapters.confined import (
    Confinement,
    closing,
    entry_of,
    exchange,
    make_file,
    make_folders,
    name_bytes,
    rename_new,
    status_at,
    told,
    write_all,
)
from daemons.workspace.adapters.files_staging import Staging
from daemons.workspace.adapters.files_unpacking import Unpacking
from daemons.workspace.adapters.files_workers import Workers
from daemons.workspace.domain.archive import ArchiveLimits
from daemons.workspace.domain.files import Entry, Guard, Kind, NotThere, Taken
from daemons.workspace.domain.paths import Parts
from daemons.workspace.ports.files import Rooms

#: Somebody else may put something at the path between a look and a rename.
_TRIES: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A file under a name of the staging folder."""

    staging: int
    name: str
    descriptor: int
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """One user's room."""

    rooms: Rooms | None
    user_id: str

    async def left(self) -> int | None:
        """Raises HomeError."""
        return await self.rooms.left(self.user_id) if self.rooms is not None else None

    async def take(self, count: int) -> None:
        """Raises DiskFull, HomeError."""
        if self.rooms is not None:
            await self.rooms.take(self.user_id, count)


class FileDraft:
    """One file in the making."""

    def __init__(
        self, workers: Workers, confined: Confinement, tidy: Staging, place: Place, home: int, app_id: str, room: Room
    ) -> None:
        self._room = room
        self._workers = workers
        self._confined = confined
        self._tidy = tidy
        self._place = place
        self._home = home
        self._app_id = app_id

    async def append(self, piece: bytes) -> None:
        """Raises DiskFull."""
        await self._room.take(len(piece))
        with told():
            await self._workers.run(write_all, self._place.descriptor, piece)

    async def unpack(self, limits: ArchiveLimits, *, overwrite: bool) -> None:
        """As the app's content."""
        left = await self._room.left()
        if left is not None:
            limits = replace(limits, total_bytes=min(limits.total_bytes, left))
        await self._workers.run(self._unpack, limits, overwrite)
        # What came of it is not what was taken: look again.
        await self._room.left()

    async def keep(self, path: Parts, guard: Guard, *, parents: bool) -> Entry:
        """Into its place."""
        return await self._workers.run(self._keep, path, guard, parents)

    def _unpack(self, limits: ArchiveLimits, overwrite: bool) -> None:
        place, unpacking = self._place, Unpacking(self._confined, self._tidy, limits)
        with told():
            unpacking.unpack(self._home, place.staging, self._app_id, place.descriptor, overwrite=overwrite)

    async def settle(self) -> None:
        """On the disk."""
        with told():
            await self._workers.run(os.fsync, self._place.descriptor)

    async def discard(self) -> None:
        """Without its name it is gone when it is closed."""
        await self._workers.run(self._unlink)

    def close(self) -> None:
        """Gone, unless it was kept or is to last; nothing is under way."""
        os.close(self._place.descriptor)
        if not self._place.lasting:
            self._unlink()
        os.close(self._place.staging)

    def _unlink(self) -> None:
        with suppress(OSError):
            os.unlink(self._place.name, dir_fd=self._place.staging)

    def _keep(self, path: Parts, guard: Guard, parents: bool) -> Entry:
        with told():
            try:
                app = self._confined.folder(self._home, ("apps", self._app_id))
            except FileNotFoundError:
                raise NotThere("the user has no such app here; ensure-dir makes its folder") from None
            with closing(app), closing(self._folder(app, path[:-1], parents)) as folder:
                os.fsync(self._place.descriptor)
                put(self._place, folder, path[-1], guard)
                os.fsync(folder)
                return entry_of(os.fstat(self._place.descriptor))

    def _folder(self, app: int, path: Parts, parents: bool) -> int:
        return make_folders(self._confined, app, path) if parents else self._confined.folder(app, path)


class Drafts:
    """Makes drafts on a user's disk."""

    def __init__(self, workers: Workers, confined: Confinement, staging: Staging, rooms: Rooms | None = None) -> None:
        self._workers = workers
        self._confined = confined
        self._staging = staging
        self._rooms = rooms

    @asynccontextmanager
    async def draft(self, user_id: str, app_id: str, home: int) -> AsyncIterator[FileDraft]:
        """An empty one; `home` is the user's folder."""

        def place(staging: int) -> Place:
            name = self._staging.draft_name()
            return Place(staging, name, make_file(staging, name))

        async with self._made(user_id, app_id, home, place) as draft:
            yield draft

    @asynccontextmanager
    async def partial(
        self, user_id: str, app_id: str, home: int, upload_id: str, offset: int
    ) -> AsyncIterator[FileDraft]:
        """One that lasts, cut off at the offset."""

        def place(staging: int) -> Place:
            name = self._staging.upload_name(upload_id)
            return Place(staging, name, _reopened(staging, name, offset), lasting=True)

        async with self._made(user_id, app_id, home, place) as draft:
            yield draft

    @asynccontextmanager
    async def _made(
        self, user_id: str, app_id: str, home: int, place: Callable[[int], Place]
    ) -> AsyncIterator[FileDraft]:
        def work() -> FileDraft:
            with told():
                staging = self._staging.opened(user_id, home)
                try:
                    placed = place(staging)
                except BaseException:
                    os.close(staging)
                    raise
                room = Room(self._rooms, user_id)
                return FileDraft(self._workers, self._confined, self._staging, placed, home, app_id, room)

        draft = await self._workers.open(work, FileDraft.close)
        try:
            yield draft
        except BaseException:
            if self._rooms is not None:
                self._rooms.freed(user_id)
            raise
        finally:
            await self._workers.run(draft.close)


def _reopened(staging: int, name: str, offset: int) -> int:
    """The file, as long as it was at the offset and ready to grow. The user may have put anything in its place."""
    if offset == 0:
        with suppress(FileExistsError):
            return make_file(staging, name)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=staging)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size < offset:
            raise NotThere("the upload's data is gone; begin anew")
        os.ftruncate(file, offset)
        os.lseek(file, offset, os.SEEK_SET)
    except BaseException:
        os.close(file)
        raise
    return file


def put(place: Place, folder: int, name: str, guard: Guard) -> None:
    """Give the file its name. What the guard looked at is what is replaced, or nothing is: a file that somebody put
    there meanwhile changes places back."""
    for _ in range(_TRIES):
        status = status_at(folder, name)
        before = entry_of(status) if status is not None else None
        guard.check(before)
        with suppress(FileNotFoundError, FileExistsError):
            if status is None:
                rename_new(place.staging, place.name, folder, name)
                return
            os.fchmod(place.descriptor, status.st_mode & 0o777)
            exchange(place.staging, place.name, folder, name)
            if _same(status, status_at(place.staging, place.name)):
                os.unlink(name_bytes(place.name), dir_fd=place.staging)
                return
            _give_back(place, folder, name)
    raise Taken("path: changes too fast")


def _give_back(place: Place, folder: int, name: str) -> None:
    try:
        exchange(place.staging, place.name, folder, name)
    except FileNotFoundError:
        # Somebody removed the new file already; the former one goes back to where it was.
        rename_new(place.staging, place.name, folder, name)
        raise Taken("path: changes too fast") from None


def _same(before: os.stat_result, displaced: os.stat_result | None) -> bool:
    """A rename changes the time of a status, so that is not compared."""
    return (
        displaced is not None
        and entry_of(displaced).kind is Kind.FILE
        and (before.st_ino, before.st_size, before.st_mtime_ns)
        == (displaced.st_ino, displaced.st_size, displaced.st_mtime_ns)
    )
