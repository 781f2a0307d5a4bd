"""What gateways before several runtime nodes ask: which one has an app. The answer for nginx's `auth_request`."""

from aiohttp import web

from daemons.deploy.services.ways import Ways
from daemons.kit.bodies import InvalidRequest, query
from daemons.kit.openapi import Answers
from protocol import headers
from protocol.apps import ServedApp


class GatewayRoutes:
    """`/internal/gateway/*`."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/internal/gateway/runtime", self.runtime)]

    @Answers(status=204, refuses=(404, 502))
    async def runtime(self, request: web.Request) -> web.Response:
        """204 with `X-Runtime-Upstream` and `X-Runtime-Node`, or 404."""
        if len(request.query.getall("appId", [])) > 1:
            raise InvalidRequest("appId: must be given once", ["appId"])
        upstream, node = await self._ways.to(query(request, ServedApp).app_id)
        return web.Response(status=204, headers={headers.RUNTIME_UPSTREAM: upstream, headers.RUNTIME_NODE: node})
