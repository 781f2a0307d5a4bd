"""What apps use, for whoever has the runtime token."""

from aiohttp import web

from daemons.agent.services.recovery import Recovery
from daemons.agent.services.usage import AppUsage
from daemons.kit.bodies import InvalidRequest, bare, query
from daemons.kit.openapi import Answers
from protocol.running import AppStatsQuery, NodeStats


class UsageRoutes:
    """`/agent/apps/stats`."""

    def __init__(self, usage: AppUsage, recovery: Recovery) -> None:
        self._usage = usage
        self._recovery = recovery

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [web.get("/agent/apps/stats", self.stats)]

    @Answers(NodeStats, refuses=(404, 500, 503))
    async def stats(self, request: web.Request) -> web.Response:
        """One app's figures, or those of all."""
        asked = query(request, AppStatsQuery)
        self._recovery.check()
        if asked.app_id is None:
            return bare(NodeStats(items=tuple(await self._usage.all())))
        if asked.user_id is None:
            raise InvalidRequest("userId: is required with appId", ["userId"])
        return bare(NodeStats(items=(await self._usage.one(asked.user_id, asked.app_id),)))
