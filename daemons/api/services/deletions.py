"""Apps are deleted everywhere: each part is taken away as often as it takes until it is gone.

The row of a deletion is the order; whoever dies in between, the next process that looks goes on. Every step can be
repeated.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from daemons.api.domain.access import NotFound, Subject, acted_for, number_of
from daemons.api.domain.deletions import Deletion, attempted, doable, gone, reasons, underway
from daemons.api.domain.deployments import Hosting
from daemons.api.ports import AccessUnwritten, DeployPlane, PlaneError
from daemons.api.ports.deletions import DeletionStore, PartLeft, Workspaces
from daemons.api.ports.repositories import RepositoryRemover, RepositoryTrouble
from daemons.api.services.keys import KeyRing
from daemons.api.services.turns import Turns
from daemons.kit.sql import DatabaseUnavailable
from protocol.api import MOST_APPS, AppPart

logger = logging.getLogger(__name__)

#: How long an answer waits at most for the first attempt: most deletions are done by then.
ANSWER_MS: Final = 800
_HOLD_MS: Final = 180_000
_ATTEMPT_SECONDS: Final = 120.0
#: As many as one user may have wait for a node that says nothing, and nobody else's wait behind them.
_AT_ONCE: Final = MOST_APPS + 4
_KEPT_MS: Final = 30 * 24 * 3600 * 1000
_EXPECTED: Final = (PartLeft, RepositoryTrouble, AccessUnwritten, PlaneError, DatabaseUnavailable)
#: How long an attempt waits for whoever sets a repository up, and how often it looks.
_LET_GO_SECONDS: Final = 3.0
_LET_GO_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds parts of apps."""

    keys: KeyRing
    workspaces: Workspaces
    plane: DeployPlane
    repositories: RepositoryRemover
    hosting: Hosting


class Deletions:
    """Takes orders, and carries them out."""

    def __init__(
        self, store: DeletionStore, holders: Holders, *, wait_ms: int = ANSWER_MS, hold_ms: int = _HOLD_MS
    ) -> None:
        """`wait_ms` is how long an answer waits at most for the first attempt, `hold_ms` for how long whoever dies
        keeps others from a deletion: longer than any attempt lasts."""
        self._store = store
        self._holders = holders
        self._wait_seconds = wait_ms / 1000
        claim = partial(store.claim, hold_ms)
        self._turns: Turns[Deletion] = Turns("deletion", claim, self._attempt, self._over, at_once=_AT_ONCE)
        self._news = asyncio.Condition()

    async def delete(self, subject: Subject, app_id: str) -> Deletion:
        """The app is gone for its owner; what it has elsewhere as well, if that takes no more than a moment. Raises
        NotFound."""
        number = number_of(app_id)
        if number is None:
            raise NotFound(f"there is no app {app_id}")
        begun = await self._store.begin(subject.user_id, number)
        if begun.done_at is None:
            logger.info("app_deleted", extra={"app_id": begun.app_id, "user_id": begun.user_id})
            self._turns.ask()
            await self._attempted(begun)
        return await self._store.find(begun.app_id) or begun

    async def owner(self, app_id: str, named: str | None) -> Subject:
        """Whose the app is, or was: on whose behalf an operator deletes it, and asks again. They must be the user that
        was named, if one was. Raises NotFound."""
        number = number_of(app_id)
        return acted_for(app_id, await self._store.owner(number) if number is not None else None, named)

    async def unfinished(self) -> Sequence[Deletion]:
        """Those of which something is left."""
        return await self._store.unfinished()

    async def run(self) -> None:
        """Carry out what was ordered, here or by a process that is gone."""
        await self._turns.run()

    async def tidy(self) -> None:
        """Forget what was done a month ago."""
        await self._store.forget(_KEPT_MS)

    async def _over(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _attempt(self, claimed: Deletion) -> None:
        after = attempted(claimed, await self._taken_away(claimed), await self._store.now())
        told = {"app_id": after.app_id, "user_id": after.user_id, "attempts": after.attempts}
        if not await self._store.save(after, claimed):
            logger.warning("app_deletion_taken_over", extra=told)
        elif after.problem is None:
            logger.info("app_deletion_complete", extra=told)
        else:
            logger.warning("app_deletion_incomplete", extra={**told, "problem": after.problem})

    async def _taken_away(self, claimed: Deletion) -> Mapping[AppPart, str]:
        """Asks for every part as soon as it may go; why those are left that are. How far it is is written down while
        some parts go on: one that is long in coming hides nothing of the others."""
        ended: dict[AppPart, str | None] = {}
        asked: dict[asyncio.Task[str | None], AppPart] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for part in doable(claimed, gone(ended)):
                    if part not in asked.values():
                        asked[group.create_task(self._problem(self._part(claimed, part)))] = part
                waiting = [task for task, part in asked.items() if part not in ended]
                if not waiting:
                    return reasons(claimed, ended)
                if ended:
                    await self._tell(underway(claimed, ended), claimed)
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                ended |= {asked[task]: task.result() for task in done}

    async def _tell(self, so_far: Deletion, claimed: Deletion) -> None:
        try:
            await self._store.save(so_far, claimed)
        except DatabaseUnavailable as error:
            # What the attempt came to is written down at its end.
            logger.warning("app_deletion_not_told", extra={"app_id": claimed.app_id, "error": str(error)})

    async def _problem(self, step: Awaitable[None]) -> str | None:
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await step
        except _EXPECTED as error:
            return str(error)
        except TimeoutError:
            return f"nobody answered for {_ATTEMPT_SECONDS:g} s"
        return None

    async def _part(self, deletion: Deletion, part: AppPart) -> None:
        user_id, app_id, holders = deletion.user_id, deletion.app_id, self._holders
        match part:
            case AppPart.ACCESS:
                await holders.keys.publish()
            case AppPart.WORKSPACE:
                await holders.workspaces.remove(user_id, app_id)
            case AppPart.DEPLOYMENTS:
                began = await self._store.now()
                await holders.plane.delete(user_id, app_id)
                if began < deletion.settled_at:
                    raise PartLeft("a deployment may have been on its way; it is looked for once more")
            case AppPart.REPOSITORY:
                await self._let_go(app_id)
                await holders.repositories.remove(holders.hosting.repository(user_id, app_id))

    async def _let_go(self, app_id: int) -> None:
        """Returns when nobody sets the repository up any more. Raises PartLeft when that takes long."""
        try:
            async with asyncio.timeout(_LET_GO_SECONDS):
                while await self._held(app_id):  # noqa: ASYNC110 - another process gives no event
                    await asyncio.sleep(_LET_GO_LOOK_SECONDS)
        except TimeoutError:
            raise PartLeft("it is being set up; it is removed when that is over") from None

    async def _held(self, app_id: int) -> bool:
        found = await self._store.find(app_id)
        held_until = found.repo_held_until if found is not None else None
        return held_until is not None and await self._store.now() < held_until

    async def _attempted(self, begun: Deletion) -> None:
        """Returns when an attempt ended that began after the order, or when that takes longer than who asked waits:
        whatever is slow, of the order they have what was written down."""

        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        try:
            async with self._news:
                while not await self._ended_since(begun):
                    async with asyncio.timeout_at(deadline):
                        await self._news.wait()
        except (TimeoutError, DatabaseUnavailable):
            return

    async def _ended_since(self, begun: Deletion) -> bool:
        found = await self._store.find(begun.app_id)
        return found is None or found.attempts > begun.attempts or found.done_at is not None
