"""Shells in the containers of apps."""

from aiohttp import web

from daemons.agent.services.recovery import Recovery
from daemons.agent.services.shells import Shells
from daemons.kit.bodies import query
from daemons.kit.lines import answered
from daemons.kit.openapi import SOCKET, Answers
from protocol.shell import ShellQuery


class ShellRoutes:
    """`/agent/apps/shell`."""

    def __init__(self, shells: Shells, recovery: Recovery) -> None:
        self._shells = shells
        self._recovery = recovery

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [web.get("/agent/apps/shell", self.open, allow_head=False)]

    @Answers(media=SOCKET, status=101, refuses=(404, 409, 429, 503))
    async def open(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that carries one shell."""
        asked = query(request, ShellQuery)
        self._recovery.check()
        async with self._shells.room(asked) as container, answered(request) as line:
            await self._shells.serve(container, line)
        return line.response
