"""The list of all apps there are."""

from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from daemons.deploy.domain.inventory import Inventory, Verdict
from daemons.deploy.http.requests import caller
from daemons.deploy.services.inventory import Inventories
from daemons.kit.bodies import read, reply
from daemons.kit.openapi import Answers
from protocol.inventory import AppInventory, InventoryResult, UnlistedApp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class InventoryRoutes:
    """`POST /deploy/apps/inventory`."""

    def __init__(self, inventories: Inventories) -> None:
        self._inventories = inventories

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.post("/deploy/apps/inventory", self.take)]

    @Answers(InventoryResult, refuses=(409, 422))
    async def take(self, request: web.Request) -> web.Response:
        """Compare, and unless it is a dry run have what is not listed deleted."""
        order = await read(request, AppInventory)
        taken_at = int((order.taken_at - _EPOCH).total_seconds() * 1000)
        found = await self._inventories.take(
            Inventory(taken_at, order.complete, order.count, order.app_ids),
            caller(request),
            dry_run=order.dry_run,
            confirm=order.confirm,
        )
        return reply(
            InventoryResult(
                dry_run=order.dry_run,
                known=found.known,
                listed=len(order.app_ids),
                orphans=tuple(map(_view, found.orphans)),
                kept=tuple(map(_view, found.kept)),
                operations=found.operations,
            )
        )


def _view(verdict: Verdict) -> UnlistedApp:
    facts = verdict.facts
    node_id = facts.placement.node_id if facts.placement else None
    return UnlistedApp(
        app_id=facts.app_id, user_id=facts.user_id, node_id=node_id, reason=verdict.reason, message=verdict.message
    )
