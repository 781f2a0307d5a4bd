"""Repositories that are to go, with all that was ever pushed to them."""

import logging
from typing import Final

from daemons.git.ports import Removable, RemovalOrders
from daemons.kit.tasks import every

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5


class Removals:
    """Carries out orders; one that fails is tried again with the next look."""

    def __init__(self, orders: RemovalOrders, repositories: Removable) -> None:
        self._orders = orders
        self._repositories = repositories

    async def run(self) -> None:
        """Until it is cancelled."""
        await every(_LOOK_SECONDS, self.carry_out, expected=(OSError,))

    async def carry_out(self) -> None:
        """All orders that there are. Raises OSError."""
        for order in await self._orders.pending():
            await self._repositories.remove(order.repository)
            await self._orders.done(order)
            logger.info("repository_removed", extra={"repository": order.repository})
