"""Repositories that are to be there, and those that are to go with all that was ever pushed to them."""

import logging
from typing import Final

from daemons.git.ports import OrderedRepositories, Orders
from daemons.git.services.pushes import Watch
from daemons.kit.tasks import every
from protocol.api import GitCreation, GitRemoval

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5


class OrderBook:
    """Carries out orders; one that fails is tried again with the next look.

    Whoever orders a removal withdraws the order to make the repository first. Creations come before removals in every
    look, so one that was read before it was withdrawn is carried out before the removal, not after.
    """

    def __init__(
        self,
        creations: Orders[GitCreation],
        removals: Orders[GitRemoval],
        repositories: OrderedRepositories,
        pushes: Watch,
    ) -> None:
        self._creations = creations
        self._removals = removals
        self._repositories = repositories
        self._pushes = pushes

    async def run(self) -> None:
        """Until it is cancelled."""
        await every(_LOOK_SECONDS, self.carry_out, expected=(OSError,))

    async def carry_out(self) -> None:
        """All orders that there are. Raises OSError once all were tried."""
        problems = [*await self._make(), *await self._remove()]
        if problems:
            raise problems[0]

    async def _make(self) -> list[OSError]:
        problems: list[OSError] = []
        for order in await self._creations.pending():
            try:
                files = {template.path: template.content.encode() for template in order.templates}
                made = await self._repositories.ensure(order.repository, files)
                await self._creations.done(order)
            except OSError as error:
                problems.append(error)
                continue
            if made:
                logger.info("repository_made", extra={"repository": order.repository})
        return problems

    async def _remove(self) -> list[OSError]:
        problems: list[OSError] = []
        for order in await self._removals.pending():
            try:
                await self._repositories.remove(order.repository)
                await self._removals.done(order)
            except OSError as error:
                problems.append(error)
                continue
            self._pushes.look_at(order.repository)
            logger.info("repository_removed", extra={"repository": order.repository})
        return problems
