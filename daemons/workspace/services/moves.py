"""What this node does in moves of workspaces, as their source and as their target. The API says what is next.

Every order may come again, after a crash of either side or of this process; what it says is then so, as if it had come
once. No order decides by itself who has the workspace: a source that is held stays so until it is told.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from daemons.kit.tasks import every
from daemons.workspace.domain import moves
from daemons.workspace.domain.backups import Manifest
from daemons.workspace.domain.copying import CopyRefused, SourceFailed
from daemons.workspace.domain.files import DiskFull, FileError
from daemons.workspace.domain.passes import Rules
from daemons.workspace.domain.runs import serves
from daemons.workspace.domain.workspaces import Phase, Seen, Workspace, container_name
from daemons.workspace.ports import Containers, HomeError
from daemons.workspace.ports.moves import Copies, Keeps, Received
from daemons.workspace.services.admission import Admission
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.visits import Visits
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_runs import RunType

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 900.0
#: What a pass failed with for good: trying again does not help.
DISK_FULL, COPY_REFUSED = "disk_full", "invalid_request"


class NoFiles(Exception):
    """There is nothing of the user's here."""


@dataclass(frozen=True, slots=True)
class Inner:
    """Who else on this node knows of workspaces."""

    runs: Runs
    admission: Admission
    visits: Visits


@dataclass(frozen=True, slots=True)
class Outside:
    """What moves are made of."""

    containers: Containers
    keeps: Keeps
    copies: Copies


class Brought(NamedTuple):
    """What a workspace has besides its files: the app whose server ran, or slept with it, and how; who may see its
    previews."""

    served: tuple[str, RunType] | None
    rules: Rules


class Moves:
    """Moves from and to this node, one order at a time for each user."""

    def __init__(self, workspaces: Workspaces, inner: Inner, outside: Outside) -> None:
        self._workspaces = workspaces
        self._runs = inner.runs
        self._admission = inner.admission
        self._visits = inner.visits
        self._outside = outside
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failed: dict[str, tuple[str, str]] = {}
        self._restoring: set[tuple[str, int]] = set()

    def brought(self, user_id: str) -> Brought:
        """What goes with the files."""
        run = self._runs.find(user_id)
        served = (run.app_id, run.type) if run is not None and serves(run) else None
        return Brought(served, self._admission.rules(user_id))

    def failed(self, user_id: str) -> tuple[str, str]:
        """Why the last pass to this node failed, in a word and in a sentence; empty when it did not."""
        return self._failed.get(user_id, ("", ""))

    async def recover(self) -> None:
        """What was to stand still stands still, also when the last process ended in between. Raises EngineError."""
        for workspace in self._workspaces.known():
            if workspace.phase is Phase.LEAVING:
                await self._pause(workspace.user_id)

    async def hold(self, user_id: str, move: int, epoch: int) -> Workspace:
        """On the source: nothing of the workspace changes any more, in memory or on the disk, and nobody is answered
        about it. Raises MoveOver, MovedAway, StaleEpoch, EngineError, RecordError."""
        async with self._turn(user_id):
            found = await self._workspaces.change(user_id, lambda one, now: moves.held(one, move, epoch, now))
            await self._visits.clear(user_id)
            await self._pause(user_id)
            return found

    async def release(self, user_id: str, move: int) -> Workspace:
        """On the source: it goes on as if nothing had been. Raises EngineError, RecordError."""
        async with self._turn(user_id):
            known = self._workspaces.find(user_id)
            seen = Seen.ABSENT
            if known is not None and known.phase is Phase.LEAVING and known.move == move:
                seen = (await self._outside.containers.state(container_name(user_id))).seen
                if seen is Seen.PAUSED:
                    await self._outside.containers.unpause(container_name(user_id))
                    seen = Seen.RUNNING
                await self._outside.copies.forget(user_id)
            return await self._workspaces.change(user_id, lambda one, now: moves.released(one, move, seen, now))

    async def leave(self, user_id: str, move: int) -> Workspace:
        """On the source: the workspace lives on the target; what is left of it here is out of the way. Raises MoveOver,
        EngineError, HomeError, RecordError."""
        async with self._turn(user_id):
            found = await self._workspaces.change(user_id, lambda one, now: moves.left(one, move, now))
            if await self._outside.keeps.present(user_id):
                await self._outside.containers.remove(container_name(user_id))
                await self._outside.keeps.put_aside(user_id, move)
            await self._outside.copies.forget(user_id)
            await self._runs.forget(user_id)
            return found

    async def drop(self, user_id: str, move: int) -> None:
        """On the source: the files that were kept are gone for good. Raises HomeError."""
        await self._outside.keeps.drop(user_id, move)

    async def arrive(self, user_id: str, move: int, epoch: int) -> Workspace:
        """On the target: nobody is let in, and passes may come. Raises MoveOver, StaleEpoch, InTheWay, HomeError,
        RecordError."""
        async with self._turn(user_id):
            files = await self._outside.keeps.present(user_id)
            before = self._workspaces.find(user_id)
            found = await self._workspaces.change(
                user_id, lambda one, now: moves.arriving(one, move, epoch, now, files=files)
            )
            if before is None or before.move != move:
                await self._visits.clear(user_id)
                await self._outside.keeps.erase(user_id)
                self._failed.pop(user_id, None)
            return found

    async def receive(
        self, user_id: str, move: int, after: str, pieces: AsyncIterator[bytes], *, compare: bool
    ) -> Received:
        """On the target: one pass. Raises MoveOver, DiskFull, CopyRefused, HomeError, RecordError, and what
        the pieces raise."""
        async with self._turn(user_id):
            known = self._workspaces.find(user_id)
            if known is None or after not in ("", moves.incoming(known, move).token):
                raise moves.MoveOver(f"the copy of move {move} stands after another pass")
            try:
                came = await self._outside.copies.receive(user_id, after, pieces, compare=compare)
            except (CopyRefused, SourceFailed, FileError, HomeError) as error:
                reason = DISK_FULL if isinstance(error, DiskFull) else ""
                self._failed[user_id] = (COPY_REFUSED if isinstance(error, SourceFailed) else reason, str(error))
                raise
            await self._workspaces.change(user_id, lambda one, _: moves.received(one, move, came.token))
            self._failed.pop(user_id, None)
            return came

    @asynccontextmanager
    async def sending(self, user_id: str, after: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """On the source: one pass. Raises HomeError."""
        async with self._outside.copies.sending(user_id, after) as pieces:
            yield pieces

    async def settle(self, user_id: str, move: int, epoch: int, brought: Brought) -> Workspace:
        """On the target: the workspace is this node's from that epoch on, once the API sends people, with what it
        brought from the source. Raises MoveOver, RecordError."""
        async with self._turn(user_id):
            if moves.brought(self._workspaces.find(user_id), move):
                await self._admission.adopt(brought.rules)
                if brought.served is not None:
                    await self._runs.adopt(user_id, *brought.served)
            return await self._workspaces.change(user_id, lambda one, now: moves.settled(one, move, epoch, now))

    async def abandon(self, user_id: str, move: int) -> Workspace:
        """On the target: nothing of that move is here. Raises HomeError, RecordError."""
        async with self._turn(user_id):
            known = self._workspaces.find(user_id)
            if moves.brought(known, move):
                await self._outside.keeps.erase(user_id)
                await self._runs.forget(user_id)
                self._failed.pop(user_id, None)
            return await self._workspaces.change(user_id, lambda one, now: moves.abandoned(one, move, now))

    @asynccontextmanager
    async def archived(self, user_id: str, left_out: frozenset[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """A backup of the workspace as it is now, and used as ever meanwhile. Raises NoFiles, HomeError."""
        if not await self._outside.keeps.present(user_id):
            raise NoFiles("the user has no files on this node")
        async with self._outside.copies.archived(user_id, left_out) as pieces:
            yield pieces

    async def restore(self, user_id: str, move: int, epoch: int, pieces: AsyncIterator[bytes]) -> Manifest:
        """What the backup holds is the workspace, at once, and the former content is put aside; whatever fails before
        leaves all as it was. The workspace is used while the backup comes, and is held for the exchange only; the
        caller releases it. Raises as `hold`; CopyRefused, FileError, HomeError, and what the pieces raise."""
        with self._using_spare(user_id, move):
            async with self._turn(user_id):
                try:
                    found = await self._outside.copies.restore(user_id, move, pieces)
                except BaseException:
                    await self._outside.keeps.drop(user_id, move)
                    raise
            await self.hold(user_id, move, epoch)
            async with self._turn(user_id):
                moves.holding(self._workspaces.find(user_id), move)
                await self._outside.containers.remove(container_name(user_id))
                await self._outside.keeps.take_spare(user_id, move)
            return found

    async def run(self) -> None:
        """For ever."""
        await every(_SWEEP_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Spare folders that no restoration uses are gone, as when a process was killed in the middle of one. What
        cannot be removed is tried again with the next sweep."""
        try:
            for user_id, move in await self._outside.keeps.spares():
                await self._sweep(user_id, move)
        except HomeError as error:
            logger.warning("spare folders could not be looked for", extra={"error": str(error)})

    async def _sweep(self, user_id: str, move: int) -> None:
        # Somebody who has the turn may have it for hours.
        if (user_id, move) in self._restoring or self._turn(user_id).locked():
            return
        said: dict[str, object] = {"user_id": user_id, "move": move}
        async with self._turn(user_id):
            try:
                await self._outside.keeps.drop_spare(user_id, move)
            except HomeError as error:
                logger.warning("a spare folder could not be removed", extra={**said, "error": str(error)})
            else:
                logger.info("a spare folder that a restoration left was removed", extra=said)

    @contextmanager
    def _using_spare(self, user_id: str, move: int) -> Iterator[None]:
        self._restoring.add((user_id, move))
        try:
            yield
        finally:
            self._restoring.discard((user_id, move))

    async def _pause(self, user_id: str) -> None:
        name = container_name(user_id)
        if (await self._outside.containers.state(name)).seen is Seen.RUNNING:
            await self._outside.containers.pause(name)

    def _turn(self, user_id: str) -> asyncio.Lock:
        lock = self._turns.get(user_id)
        if lock is None:
            lock = self._turns[user_id] = asyncio.Lock()
        return lock
