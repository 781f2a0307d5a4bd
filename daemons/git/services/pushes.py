"""Tells of pushes until somebody took them, those of one repository one after the other."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from daemons.git.domain.pushes import Journal, Push, noted, pause_seconds, told
from daemons.git.ports import Branches, PushJournals, PushReceiver, Untold

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 8


class Watch(Protocol):
    """What is done about pushes."""

    async def expect(self, repository: str) -> None:
        """Before a push. Raises OSError."""
        ...

    def look_at(self, repository: str) -> None:
        """Something may have happened to it."""
        ...


class Unwatched:
    """Nobody wants to know of pushes."""

    async def expect(self, repository: str) -> None:
        """Nothing is to be done."""

    def look_at(self, repository: str) -> None:
        """Nothing is to be done."""


class Pushes:
    """`expect` comes before a push, `look_at` after it; what was missed in between is found when the server starts."""

    def __init__(
        self, journals: PushJournals, branches: Branches, receiver: PushReceiver, new_id: Callable[[], str]
    ) -> None:
        self._journals = journals
        self._branches = branches
        self._receiver = receiver
        self._new_id = new_id
        #: When each repository is to be looked at, in the loop's seconds; who is being looked at; attempts in vain.
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._vain: dict[str, int] = {}
        self._news = asyncio.Event()
        self._beginning = asyncio.Lock()

    async def expect(self, repository: str) -> None:
        """What is there before the first push that is told of is not told. Raises OSError."""
        if await self._journals.load(repository) is not None:
            return
        async with self._beginning:
            if await self._journals.load(repository) is None:
                await self._journals.save(repository, Journal(await self._branches.branches(repository) or {}))

    def look_at(self, repository: str) -> None:
        """Something may have happened to it."""
        self._due[repository] = 0.0
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        for repository in await self._journals.every():
            self._due.setdefault(repository, 0.0)
        async with asyncio.TaskGroup() as group:
            turns = asyncio.Semaphore(_AT_ONCE)
            while True:
                await turns.acquire()
                repository = await self._next()
                group.create_task(self._in_turn(repository, turns))

    async def _next(self) -> str:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            waiting = {name: due for name, due in self._due.items() if name not in self._busy}
            first = min(waiting, key=lambda name: waiting[name], default=None)
            if first is not None and waiting[first] <= loop.time():
                del self._due[first]
                self._busy.add(first)
                return first
            try:
                async with asyncio.timeout_at(waiting[first] if first is not None else None):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _in_turn(self, repository: str, turns: asyncio.Semaphore) -> None:
        try:
            await self._tell_all(repository)
            self._vain.pop(repository, None)
        except (Untold, OSError) as error:
            attempts = self._vain.get(repository, 0) + 1
            self._vain[repository] = attempts
            self._due.setdefault(repository, asyncio.get_running_loop().time() + pause_seconds(attempts))
            logger.warning(
                "push_not_told", extra={"repository": repository, "attempts": attempts, "problem": str(error)}
            )
        finally:
            self._busy.discard(repository)
            turns.release()
            self._news.set()

    async def _tell_all(self, repository: str) -> None:
        while pushes := await self._noted(repository):
            await self._receiver.tell(repository, pushes[0])
            journal = await self._journals.load(repository)
            if journal is not None:
                await self._journals.save(repository, told(journal))
            logger.info("push_told", extra={"repository": repository, "branch": pushes[0].branch})

    async def _noted(self, repository: str) -> Sequence[Push]:
        journal, branches = await self._journals.load(repository), await self._branches.branches(repository)
        if branches is None:
            await self._journals.forget(repository)
        if journal is None or branches is None:
            return ()
        after = noted(journal, branches, self._new_id)
        if after != journal:
            await self._journals.save(repository, after)
        return after.pushes
