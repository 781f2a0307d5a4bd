"""Plans that drain nodes: `/admin/drains`."""

from typing import Final, Protocol

from aiohttp import web

from daemons.deploy.domain.drain_views import preview_view
from daemons.deploy.domain.events import Actor
from daemons.deploy.http.requests import caller
from daemons.deploy.services.drains import Drains
from daemons.kit.bodies import InvalidRequest, expected, number, read, reply
from daemons.kit.openapi import Answers
from protocol.drains import DrainDetail, DrainPage, DrainPreview, PreviewDrain, StartDrain

_ABOVE_ALL: Final = 2**62
_LONGEST_NUMBER: Final = 18


class _Turn(Protocol):
    """What can be done with a plan."""

    async def __call__(self, drain_id: int, actor: Actor, seen: str | None = None) -> DrainDetail: ...


class DrainRoutes:
    """What operators see and order."""

    def __init__(self, drains: Drains) -> None:
        self._drains = drains

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/admin/drains/preview", self.preview),
            web.post("/admin/drains", self.start),
            web.get("/admin/drains", self.page),
            web.get("/admin/drains/{drain_id}", self.show),
            web.post("/admin/drains/{drain_id}/pause", self.pause),
            web.post("/admin/drains/{drain_id}/resume", self.resume),
            web.post("/admin/drains/{drain_id}/undo", self.undo),
            web.post("/admin/drains/{drain_id}/cancel", self.cancel),
        ]

    @Answers(DrainPreview, refuses=(404,))
    async def preview(self, request: web.Request) -> web.Response:
        """What a drain would do now."""
        outlook = await self._drains.preview((await read(request, PreviewDrain)).node)
        return reply(preview_view(outlook.node, outlook.forecast))

    @Answers(DrainDetail, refuses=(404, 409))
    async def start(self, request: web.Request) -> web.Response:
        """Cordon a node and move its apps away."""
        return reply(await self._drains.start(await read(request, StartDrain), caller(request), seen=expected(request)))

    @Answers(DrainPage)
    async def page(self, request: web.Request) -> web.Response:
        """Plans, newest first."""
        limit = number(request, "limit", default=50, low=1, high=200)
        before = _number(request.query["cursor"], "cursor") if request.query.get("cursor") else _ABOVE_ALL
        found = await self._drains.page(before, limit)
        cursor = str(found.items[-1].id) if found.more else None
        return reply(DrainPage(items=tuple(found.items), next_cursor=cursor))

    @Answers(DrainDetail, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """One plan with its moves."""
        return reply(await self._drains.get(_drain_id(request)))

    @Answers(DrainDetail, refuses=(404, 409))
    async def pause(self, request: web.Request) -> web.Response:
        """Start no further move."""
        return await self._do(request, self._drains.pause)

    @Answers(DrainDetail, refuses=(404, 409))
    async def resume(self, request: web.Request) -> web.Response:
        """Go on."""
        return await self._do(request, self._drains.resume)

    @Answers(DrainDetail, refuses=(404, 409))
    async def undo(self, request: web.Request) -> web.Response:
        """Bring everything back."""
        return await self._do(request, self._drains.undo)

    @Answers(DrainDetail, refuses=(404, 409))
    async def cancel(self, request: web.Request) -> web.Response:
        """Leave out what has not begun."""
        return await self._do(request, self._drains.cancel)

    async def _do(self, request: web.Request, turn: _Turn) -> web.Response:
        return reply(await turn(_drain_id(request), caller(request), expected(request)))


def _drain_id(request: web.Request) -> int:
    return _number(request.match_info["drain_id"], "drainId")


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise InvalidRequest(f"{field}: must be the number of a drain", [field])
    return int(text)
