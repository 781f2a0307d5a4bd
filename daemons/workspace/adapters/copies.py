"""Copies of users' files to and from other nodes, in threads of their own: a disk's slowness holds up nobody else.

These threads are the node's, not the workspaces' user: on the source they read what its mode keeps its owner from, on
the target they make everything the user's. Neither follows a link (`copy_walks`, `copy_receiving`).
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from daemons.workspace.adapters.backup_reading import Arriving, restored
from daemons.workspace.adapters.backup_writing import Writing
from daemons.workspace.adapters.confined import Confinement
from daemons.workspace.adapters.copy_receiving import Receiving
from daemons.workspace.adapters.copy_sending import Journal, Sending, noted
from daemons.workspace.adapters.files_workers import Workers
from daemons.workspace.domain.backups import Manifest
from daemons.workspace.domain.copying import Beginning, Former
from daemons.workspace.ports import HomeError, Homes
from daemons.workspace.ports.moves import Received

_THREADS: Final = 4

Result = TypeVar("Result")


class DiskCopies:
    """The port `Copies`; `state` is a folder that no user reaches."""

    def __init__(self, homes: Homes, confined: Confinement, state: Path) -> None:
        self._homes = homes
        self._confined = confined
        self._state = state
        self._workers = Workers(None, threads=_THREADS)

    def close(self) -> None:
        """No more work."""
        self._workers.close()

    @asynccontextmanager
    async def sending(self, user_id: str, after: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Raises HomeError."""
        async with self._home(user_id) as home:
            token = secrets.token_hex(16)
            former, known, journal = await self._journals(user_id, after, token)
            pass_ = Sending(self._confined, home, former, journal)
            pieces = pass_.pieces(Beginning(token, after if known else ""))

            async def each() -> AsyncIterator[bytes]:
                while piece := await self._workers.run(next, pieces, b""):
                    yield piece

            try:
                yield each()
            finally:
                await self._workers.run(pieces.close)
                # Of a pass that never began as well.
                await self._workers.run(journal.close)

    async def receive(self, user_id: str, after: str, pieces: AsyncIterator[bytes], *, compare: bool) -> Received:
        """Raises HomeError, CopyRefused, SourceFailed, FileError."""
        usage = await self._homes.usage(user_id)
        # What is there may be on its way out; what is too much for a file system of its own, that says itself.
        room = usage.total_bytes if not after else max(0, usage.total_bytes - usage.used_bytes)
        async with self._home(user_id) as home:
            taking = await self._workers.open(lambda: Receiving(self._confined, home, after, room), Receiving.close)
            try:
                async for piece in pieces:
                    await self._workers.run(taking.feed, piece)
                await self._workers.run(taking.finish)
                matches = compare and await self._workers.run(taking.same)
            finally:
                await self._workers.run(taking.close)
        came = taking.came
        return Received(came.token, came.files, came.sent_bytes, came.skipped, matches)

    @asynccontextmanager
    async def archived(self, user_id: str, left_out: frozenset[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Raises HomeError, and while the pieces are read CopyRefused."""
        async with self._home(user_id) as home:
            pieces = Writing(self._confined, home, user_id, left_out).pieces()

            async def each() -> AsyncIterator[bytes]:
                while piece := await self._workers.run(next, pieces, b""):
                    yield piece

            try:
                yield each()
            finally:
                await self._workers.run(pieces.close)

    async def restore(self, user_id: str, move: int, pieces: AsyncIterator[bytes]) -> Manifest:
        """Raises HomeError, CopyRefused, FileError, and what the pieces raise."""
        loop = asyncio.get_running_loop()
        room = (await self._homes.usage(user_id)).total_bytes

        def more() -> bytes:
            return asyncio.run_coroutine_threadsafe(_next(pieces), loop).result()

        async with self._opened(await self._homes.spare(user_id, move)) as home:
            into = await self._workers.open(lambda: Receiving(self._confined, home, "", room), Receiving.close)
            try:
                return await self._workers.run(restored, into, Arriving(more))
            finally:
                await self._workers.run(into.close)

    async def forget(self, user_id: str) -> None:
        """Raises HomeError."""
        await self._tried(user_id, lambda folder: shutil.rmtree(folder, ignore_errors=True))

    async def _journals(self, user_id: str, after: str, token: str) -> tuple[Former, bool, Journal]:
        def work(folder: Path) -> tuple[Former, bool, Journal]:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            before = folder / f"{after}.journal"
            for other in folder.iterdir():
                if other != before:
                    other.unlink(missing_ok=True)
            known = bool(after) and before.exists()
            stamps: Iterator[tuple[bytes, bytes]] = noted(before) if known else iter(())
            return Former(stamps), known, Journal(folder / f"{token}.journal")

        return await self._tried(user_id, work)

    async def _tried(self, user_id: str, work: Callable[[Path], Result]) -> Result:
        if not user_id.isdecimal():
            raise HomeError("a user's id holds characters that no id has")
        try:
            return await self._workers.run(work, self._state / user_id)
        except OSError as error:
            raise HomeError(f"{self._state} cannot be written: {error.strerror}") from error

    @asynccontextmanager
    async def _home(self, user_id: str) -> AsyncIterator[int]:
        async with self._opened(await self._homes.ready(user_id)) as home:
            yield home

    @asynccontextmanager
    async def _opened(self, folder: Path) -> AsyncIterator[int]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        home = await self._workers.open(lambda: os.open(folder, flags), os.close)
        try:
            yield home
        finally:
            os.close(home)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
