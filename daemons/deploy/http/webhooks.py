"""Deliveries of job results, for operators."""

from typing import Final

from aiohttp import web

from daemons.deploy.domain.webhooks import DeliveryNotFound, delivery_view
from daemons.deploy.http.requests import caller
from daemons.deploy.ports import DeliveryFilter
from daemons.deploy.services.webhooks import Webhooks
from daemons.kit.bodies import InvalidRequest, number, query, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.names import AppId
from protocol.webhooks import DeliveryPage, DeliveryState, DeliveryView

_ABOVE_ALL: Final = 2**63 - 1
_LONGEST_NUMBER: Final = 18


class _DeliveryQuery(Wire):
    app_id: AppId | None = None


class WebhookRoutes:
    """`/admin/webhooks`."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/admin/webhooks", self.page),
            web.post("/admin/webhooks/{number}/retry", self.retry),
        ]

    @Answers(DeliveryPage)
    async def page(self, request: web.Request) -> web.Response:
        """A page of deliveries, newest first."""
        asked, limit = query(request, _DeliveryQuery), number(request, "limit", default=50, low=1, high=200)
        before = number(request, "cursor", default=_ABOVE_ALL, low=0, high=_ABOVE_ALL)
        found = await self._webhooks.page(DeliveryFilter(_state(request), asked.app_id), before, limit)
        items = tuple(map(delivery_view, found.items))
        cursor = str(items[-1].id) if found.more else None
        return reply(DeliveryPage(items=items, next_cursor=cursor, configured=self._webhooks.configured))

    @Answers(DeliveryView, refuses=(404, 409))
    async def retry(self, request: web.Request) -> web.Response:
        """Send it now."""
        return reply(delivery_view(await self._webhooks.retry(_number(request), caller(request))))


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise DeliveryNotFound(text if text.isalnum() and len(text) <= _LONGEST_NUMBER else "of that number")
    return int(text)


def _state(request: web.Request) -> DeliveryState | None:
    text = request.query.get("state", "")
    try:
        return DeliveryState(text) if text else None
    except ValueError:
        allowed = ", ".join(DeliveryState)
        raise InvalidRequest(f"state: must be one of {allowed}", ["state"]) from None
