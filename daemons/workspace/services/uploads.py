"""Uploads in parts: begun, added to, finished, given up and forgotten."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from daemons.kit.clock import Clock
from daemons.workspace.domain.files import FileError, Guard, TooLarge
from daemons.workspace.domain.paths import Parts, joined, named_parts
from daemons.workspace.domain.uploads import (
    KEPT_MS,
    MOST_UPLOADS,
    Checksum,
    NoUpload,
    Summing,
    Upload,
    UploadBusy,
    UploadRefused,
    WrongOffset,
)
from daemons.workspace.ports import HomeError
from daemons.workspace.ports.files import Pieces, UploadRecords
from daemons.workspace.services.files import Files


@dataclass(frozen=True, slots=True)
class Uploads:
    """The use cases. `most` bytes may be uploaded at once."""

    files: Files
    records: UploadRecords
    clock: Clock
    most: int
    _adding: set[str] = field(default_factory=set)

    async def begin(
        self, user_id: str, app_id: str, path: Parts, length: int, *, overwrite: bool, parents: bool
    ) -> Upload:
        """An upload without a byte; one of no length is over at once. Raises UploadRefused, TooLarge, FileError."""
        if length > self.most:
            raise TooLarge(f"at most {self.most} bytes may be uploaded")
        if sum(each.user_id == user_id for each in await self.records.all()) >= MOST_UPLOADS:
            raise UploadRefused(f"a user may have {MOST_UPLOADS} uploads under way; finish or remove one")
        upload = Upload(
            id=secrets.token_hex(16),
            user_id=user_id,
            app_id=app_id,
            path=joined(path),
            length=length,
            offset=0,
            overwrite=overwrite,
            parents=parents,
            expires_ms=self._now() + KEPT_MS,
        )
        async with self.files.used(user_id, app_id).partial(upload.id, 0) as draft:
            await draft.settle()
        await self.records.save(upload)
        try:
            return await self._ended(upload)
        except FileError:
            await self._forget(upload)
            raise

    async def find(self, user_id: str, app_id: str, upload_id: str) -> Upload:
        """Raises NoUpload, also for somebody else's."""
        upload = await self.records.find(upload_id)
        if upload is None or (upload.user_id, upload.app_id) != (user_id, app_id) or upload.expires_ms <= self._now():
            raise NoUpload("there is no such upload; it may have ended or expired")
        return upload

    async def add(
        self, user_id: str, app_id: str, upload_id: str, offset: int, pieces: Pieces, checksum: Checksum | None
    ) -> Upload:
        """The upload with what the pieces bring, once they have ended and proven themselves. Raises WrongOffset,
        NoUpload, UploadBusy, ChecksumMismatch, TooLarge, FileError; what was there before still counts then."""
        with self._alone(upload_id):
            upload = await self.find(user_id, app_id, upload_id)
            if offset != upload.offset:
                raise WrongOffset(upload.offset)
            summing, count = Summing(checksum), 0
            async with self.files.used(upload.user_id, upload.app_id).partial(upload.id, offset) as draft:
                async for piece in pieces:
                    count += len(piece)
                    if offset + count > upload.length:
                        raise TooLarge("more bytes came than the upload has left")
                    summing.add(piece)
                    await draft.append(piece)
                summing.check()
                await draft.settle()
            further = upload.advanced(count, self._now())
            await self.records.save(further)
            return await self._ended(further)

    async def give_up(self, user_id: str, app_id: str, upload_id: str) -> None:
        """Nothing is left of it. Raises NoUpload, UploadBusy."""
        with self._alone(upload_id):
            await self._forget(await self.find(user_id, app_id, upload_id))

    async def under_way(self, user_id: str, app_id: str) -> bool:
        """Whether somebody may go on with an upload into the app."""
        return any(each.expires_ms > self._now() for each in await self._of(user_id, app_id))

    async def give_up_app(self, user_id: str, app_id: str) -> int:
        """Nothing is left of the app's uploads; how many there were. Raises UploadBusy, RecordError."""
        found = await self._of(user_id, app_id)
        for upload in found:
            with self._alone(upload.id):
                await self._forget(upload)
        return len(found)

    async def sweep(self) -> None:
        """Those that nobody went on with."""
        for upload in await self.records.all():
            if upload.expires_ms <= self._now() and upload.id not in self._adding:
                await self._forget(upload)

    async def _of(self, user_id: str, app_id: str) -> list[Upload]:
        return [each for each in await self.records.all() if (each.user_id, each.app_id) == (user_id, app_id)]

    async def _ended(self, upload: Upload) -> Upload:
        if upload.complete:
            tree, guard = self.files.used(upload.user_id, upload.app_id), Guard(overwrite=upload.overwrite)
            async with tree.partial(upload.id, upload.length) as draft:
                await draft.keep(named_parts(upload.path), guard, parents=upload.parents)
            await self.records.forget(upload.id)
        return upload

    async def _forget(self, upload: Upload) -> None:
        with suppress(FileError, HomeError):
            async with self.files.trees.app(upload.user_id, upload.app_id).partial(upload.id, 0) as draft:
                await draft.discard()
        await self.records.forget(upload.id)

    @contextmanager
    def _alone(self, upload_id: str) -> Iterator[None]:
        if upload_id in self._adding:
            raise UploadBusy("another request is adding to this upload")
        self._adding.add(upload_id)
        try:
            yield
        finally:
            self._adding.discard(upload_id)

    def _now(self) -> int:
        return int(self.clock.now().timestamp() * 1000)
