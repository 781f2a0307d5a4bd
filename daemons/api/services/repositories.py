"""Apps' repositories are set up beside their creation: as often as it takes, and never in its way.

The app's row is the order. Whoever dies in between, the next process that looks goes on; every step can be repeated.
Who removes the repository of a deleted app waits until nobody is at it any more.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from daemons.api.domain.deployments import Hosting
from daemons.api.domain.repositories import Wanted, attempted
from daemons.api.ports.repositories import RepositoryHost, RepositoryStore, RepositoryTrouble
from daemons.api.services.turns import Turns

logger = logging.getLogger(__name__)

_ATTEMPT_SECONDS: Final = 60.0
#: For how long whoever dies keeps others from a repository: longer than an attempt lasts, and what it left on its way.
_HOLD_MS: Final = 90_000


class Repositories:
    """Sets them up; `files` is what each begins with, by path."""

    def __init__(
        self,
        store: RepositoryStore,
        host: RepositoryHost,
        hosting: Hosting,
        files: Mapping[str, str],
        *,
        hold_ms: int = _HOLD_MS,
    ) -> None:
        self._store = store
        self._host = host
        self._hosting = hosting
        self._files = files
        self._turns: Turns[Wanted] = Turns("repository", lambda: store.claim(hold_ms), self._attempt)

    def ask(self) -> None:
        """There is a new app."""
        self._turns.ask()

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._turns.run()

    async def _attempt(self, wanted: Wanted) -> None:
        name, problem = self._hosting.repository(wanted.user_id, wanted.app_id), None
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await self._host.create(name, {} if wanted.begun else self._files)
                await self._host.admit_bots(name)
                await self._host.announce(name)
        except RepositoryTrouble as error:
            problem = str(error)
        except TimeoutError:
            problem = f"it was not set up within {_ATTEMPT_SECONDS:g} s"
        outcome = attempted(wanted, problem, await self._store.now())
        saved = await self._store.save(wanted, outcome)
        told = {"app_id": wanted.app_id, "repository": name, "attempts": outcome.attempts}
        if not saved:
            logger.info("repository_not_wanted_any_more", extra=told)
        elif problem is None:
            logger.info("repository_ready", extra=told)
        else:
            logger.warning("repository_not_ready", extra={**told, "problem": problem})
