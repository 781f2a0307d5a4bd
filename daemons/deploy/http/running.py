"""What operators see of apps that run."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from daemons.deploy.http.requests import app_in_path
from daemons.deploy.ports import AgentFailed
from daemons.deploy.services.running import Running
from daemons.kit.bodies import query, reply
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sse import Frame, stream
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery, NodeStats

logger = logging.getLogger(__name__)


class RunningRoutes:
    """`/admin/apps/{app_id}/log` and `/stats`, `/admin/runtime-nodes/{name}/stats`."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def table(self) -> list[web.RouteDef]:
        """The routes, for operators: an app's output may hold what its users typed."""
        return [
            web.get("/admin/apps/{app_id}/log", self.log, allow_head=False),
            web.get("/admin/apps/{app_id}/stats", self.app_stats),
            web.get("/admin/runtime-nodes/{name}/stats", self.node_stats),
        ]

    def own_table(self) -> list[web.RouteDef]:
        """The output of an app for the API, which shows it to the app's owner alone."""
        return [web.get("/deploy/apps/{app_id}/log", self.log, allow_head=False)]

    @Answers(NodeStats, refuses=(404, 409, 502))
    async def app_stats(self, request: web.Request) -> web.Response:
        """What one app uses."""
        return reply(await self._running.app_stats(app_in_path(request)))

    @Answers(NodeStats, refuses=(404, 502))
    async def node_stats(self, request: web.Request) -> web.Response:
        """What every app of a node uses."""
        return reply(await self._running.node_stats(request.match_info["name"][:128]))

    @Answers(AppLogEvent, media=EVENTS, endless=True, refuses=(404, 409, 429, 502))
    async def log(self, request: web.Request) -> web.StreamResponse:
        """The app's output, of whichever node has it."""
        asked, app_id = query(request, AppLogQuery), app_in_path(request)
        async with self._running.log(app_id, asked) as chunks:
            return await stream(request, _whole(chunks, app_id))


async def _whole(chunks: AsyncIterator[bytes], app_id: str) -> AsyncGenerator[bytes, None]:
    """The chunks; a node that is lost underway ends them with words. What was cut in the middle is closed first."""
    try:
        async for chunk in chunks:
            yield chunk
    except AgentFailed as error:
        logger.warning("an app's log was cut off", extra={"app_id": app_id, "error": str(error)})
        lost = AppLogEvent(kind=AppLogKind.END, text="the connection to the app's node was lost")
        yield b"\n\n" + Frame(lost.kind.value, lost.to_json()).wire
