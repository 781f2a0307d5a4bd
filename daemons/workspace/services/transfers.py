"""Files and archives of any size that come from callers and go to them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from daemons.workspace.domain.archive import DIST_LIMITS, ArchiveLimits
from daemons.workspace.domain.files import MOST_TEXT_BYTES, Entry, Guard, TooLarge
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.tree import IGNORED
from daemons.workspace.ports.files import Draft, Pieces, Source
from daemons.workspace.services.files import Files

_DIST: Final = ("dist",)


class _Text:
    """What was written, as text, as long as it may be one."""

    def __init__(self) -> None:
        self._data: bytearray | None = bytearray()

    def add(self, piece: bytes) -> None:
        if self._data is not None:
            self._data += piece
            if len(self._data) > MOST_TEXT_BYTES:
                self._data = None

    @property
    def text(self) -> str | None:
        try:
            return self._data.decode() if self._data is not None else None
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Transfers:
    """The use cases. Pieces that come are proven when they end without an error, and acted upon only then."""

    files: Files
    archives: ArchiveLimits = field(default=ArchiveLimits())

    async def upload(
        self, user_id: str, app_id: str, path: Parts, pieces: Pieces, guard: Guard, *, parents: bool, most: int
    ) -> tuple[Entry, str | None]:
        """A file as it came, and its text if it is one that editors read."""
        text = _Text()
        async with self.files.used(user_id, app_id).draft() as draft:
            await _filled(draft, pieces, most, text)
            return await draft.keep(path, guard, parents=parents), text.text

    async def upload_archive(self, user_id: str, app_id: str, pieces: Pieces, *, overwrite: bool, most: int) -> None:
        """An app's content."""
        async with self.files.used(user_id, app_id).draft() as draft:
            await _filled(draft, pieces, most, None)
            await draft.unpack(self.archives, overwrite=overwrite)

    def download(self, user_id: str, app_id: str, path: Parts) -> AbstractAsyncContextManager[Source]:
        """A file."""
        return self.files.used(user_id, app_id).opened(path)

    def download_archive(self, user_id: str, app_id: str, *, node_modules: bool) -> AbstractAsyncContextManager[Pieces]:
        """An app without what tools made of it."""
        ignored = IGNORED - {"node_modules"} if node_modules else IGNORED
        return self.files.used(user_id, app_id).packed((), ignored)

    @asynccontextmanager
    async def download_dist(self, user_id: str, app_id: str) -> AsyncIterator[Pieces]:
        """What the app's build made. Raises NotThere and TooLarge."""
        tree = self.files.used(user_id, app_id)
        await tree.count(_DIST, DIST_LIMITS)
        async with tree.packed(_DIST, frozenset()) as pieces:
            yield pieces


async def _filled(draft: Draft, pieces: Pieces, most: int, text: _Text | None) -> None:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > most:
            raise TooLarge(f"at most {most} bytes may be uploaded this way")
        if text is not None:
            text.add(piece)
        await draft.append(piece)
