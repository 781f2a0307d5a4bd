"""Shells of operators in apps."""

from aiohttp import web

from daemons.deploy.http.requests import app_in_path, caller
from daemons.deploy.services.shells import Shells
from daemons.kit.lines import answered
from daemons.kit.openapi import SOCKET, Answers


class ShellRoutes:
    """`/admin/apps/{app_id}/shell`."""

    def __init__(self, shells: Shells) -> None:
        self._shells = shells

    def table(self) -> list[web.RouteDef]:
        """The routes, for operators alone: a shell sees all that the app does, its secrets included."""
        return [web.get("/admin/apps/{app_id}/shell", self.open, allow_head=False)]

    @Answers(media=SOCKET, status=101, refuses=(404, 409, 429, 502))
    async def open(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that carries one shell."""
        async with self._shells.room(app_in_path(request)) as way, answered(request) as line:
            await self._shells.serve(way, line, caller(request))
        return line.response
