"""What gateways ask: which node has the preview of a user or an app. The documented answer for `auth_request`."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from daemons.api.domain.workspaces import NoWorkspace, WorkspaceNode
from daemons.api.services.workspace_ways import Ways
from daemons.kit.auth import Gate
from daemons.kit.bodies import InvalidRequest, query
from daemons.kit.openapi import Answers
from protocol import headers
from protocol.workspaces import PreviewRef

_PATH: Final = "/api/fun-ai/workspace/internal/gateway/node"
_OF_PROXIES: Final = ("X-Forwarded-For", "X-Real-IP", "Forwarded")


def gateway_gate(tokens: Sequence[str]) -> Gate:
    """For gateways that show a token; where none is set, for those of this machine."""
    if tokens:
        return Gate("gateway", headers.WORKSPACE_GATEWAY_TOKEN, tuple(tokens))
    return _LocalGate("gateway", headers.WORKSPACE_GATEWAY_TOKEN, ())


@dataclass(frozen=True, slots=True)
class _LocalGate(Gate):
    """Admits this machine alone, and nobody for whom a proxy of this machine speaks."""

    def proves(self, request: web.Request) -> bool:
        try:
            local = ip_address(request.remote or "").is_loopback
        except ValueError:
            return False
        return local and not any(name in request.headers for name in _OF_PROXIES)


class WorkspaceGatewayRoutes:
    """Section B.5: 204 with the node's gateway, or 404. A visit places nobody."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def table(self) -> list[web.RouteDef]:
        """For gateways."""
        return [web.get(_PATH, self.node)]

    @Answers(status=204, refuses=(404,))
    async def node(self, request: web.Request) -> web.Response:
        """`X-WS-Node` and `X-WS-NodeId`."""
        if any(len(request.query.getall(name)) > 1 for name in request.query):
            raise InvalidRequest("userId, appId: must be given once", ["userId", "appId"])
        wanted = query(request, PreviewRef)
        if wanted.user_id is None and wanted.app_id is None:
            raise InvalidRequest("appId: must be given, or userId", ["appId"])
        try:
            found = await self._find(wanted)
        except NoWorkspace:
            raise NoWorkspace("there is no workspace of this app or user") from None
        told = {headers.WORKSPACE_NODE: found.nginx_base_url, headers.WORKSPACE_NODE_ID: str(found.id)}
        return web.Response(status=204, headers=told)

    async def _find(self, wanted: PreviewRef) -> WorkspaceNode:
        if wanted.app_id is not None:
            return await self._ways.of_app(wanted.app_id)
        return await self._ways.of_user(wanted.user_id or "")
