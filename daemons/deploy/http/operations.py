"""Stops and deletes that nodes have yet to carry out."""

from typing import Final

from aiohttp import web

from daemons.deploy.domain.operations import OperationNotFound
from daemons.deploy.domain.views import operation_view
from daemons.deploy.http.requests import caller
from daemons.deploy.ports import OperationFilter
from daemons.deploy.services.operations import Operations
from daemons.kit.bodies import InvalidRequest, number, query, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.nodes import NodeNumber
from protocol.operations import OperationPage, OperationState, OperationView

_ABOVE_ALL: Final = 2**63 - 1
_LONGEST_NUMBER: Final = 18


class _OperationQuery(Wire):
    app_id: AppId | None = None
    user_id: UserId | None = None
    node_id: NodeNumber | None = None


class OperationRoutes:
    """`/deploy/operations` for all who may submit, `/admin/operations` for operators."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def table(self) -> list[web.RouteDef]:
        """What reads."""
        return [
            web.get("/deploy/operations", self.page),
            web.get("/deploy/operations/{number}", self.one),
        ]

    def admin_table(self) -> list[web.RouteDef]:
        """What changes."""
        return [
            web.post("/admin/operations/{number}/retry", self.retry),
            web.post("/admin/operations/{number}/abandon", self.abandon),
        ]

    @Answers(OperationPage)
    async def page(self, request: web.Request) -> web.Response:
        """A page of operations, newest first."""
        asked, limit = query(request, _OperationQuery), number(request, "limit", default=50, low=1, high=200)
        before = number(request, "cursor", default=_ABOVE_ALL, low=0, high=_ABOVE_ALL)
        wanted = OperationFilter(_state(request), asked.app_id, asked.user_id, asked.node_id)
        found = await self._operations.page(wanted, before, limit)
        items = tuple(operation_view(each, found.now) for each in found.items)
        return reply(OperationPage(items=items, next_cursor=str(items[-1].id) if found.more else None))

    @Answers(OperationView, refuses=(404,))
    async def one(self, request: web.Request) -> web.Response:
        """One operation."""
        return reply(operation_view(*await self._operations.get(_number(request))))

    @Answers(OperationView, refuses=(404, 409))
    async def retry(self, request: web.Request) -> web.Response:
        """Try it now."""
        return reply(operation_view(*await self._operations.retry(_number(request), caller(request))))

    @Answers(OperationView, refuses=(404, 409))
    async def abandon(self, request: web.Request) -> web.Response:
        """Give it up."""
        return reply(operation_view(*await self._operations.abandon(_number(request), caller(request))))


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise OperationNotFound(text if text.isalnum() and len(text) <= _LONGEST_NUMBER else "of that number")
    return int(text)


def _state(request: web.Request) -> OperationState | None:
    text = request.query.get("state", "")
    try:
        return OperationState(text) if text else None
    except ValueError:
        allowed = ", ".join(OperationState)
        raise InvalidRequest(f"state: must be one of {allowed}", ["state"]) from None
