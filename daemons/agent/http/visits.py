"""An app's access log."""

from aiohttp import web

from daemons.agent.services.recovery import Recovery
from daemons.agent.services.visits import Visits
from daemons.kit.bodies import number, query
from daemons.kit.openapi import Answers
from protocol.apps import AppRef


class VisitRoutes:
    """`/agent/apps/access`."""

    def __init__(self, visits: Visits, recovery: Recovery) -> None:
        self._visits = visits
        self._recovery = recovery

    def table(self) -> list[web.RouteDef]:
        """The route, for callers with the runtime token."""
        return [web.get("/agent/apps/access", self.access)]

    @Answers(media="application/x-ndjson", refuses=(404, 503))
    async def access(self, request: web.Request) -> web.Response:
        """The newest requests, one JSON document a line, oldest first."""
        asked = query(request, AppRef)
        lines = number(request, "tail", default=200, low=1, high=5000)
        self._recovery.check()
        text = await self._visits.tail(asked.user_id, asked.app_id, lines)
        headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type="application/x-ndjson", charset="utf-8", headers=headers)
