"""What gateways ask: which port leads to a preview. The documented answer of nginx's `auth_request`."""

from typing import Final

from aiohttp import web

from daemons.workspace.http.callers import named
from daemons.workspace.services.previews import Address, NoPreview, NotReady, Previews
from protocol.workspaces import PreviewRef

_PATH: Final = "/api/fun-ai/workspace/internal/nginx/port"
_STARTING: Final = 503


class PreviewRoutes:
    """Section A.10: 204 with the port, or 404 without one; a visit wakes a workspace that sleeps."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews

    def table(self) -> list[web.RouteDef]:
        """The routes, for the node's gateway."""
        return [web.get(_PATH, self.port)]

    async def port(self, request: web.Request) -> web.Response:
        """`X-WS-Port`, and `X-WS-Prefix: keep` for a server that wants the public path left on."""
        wanted = named(request, PreviewRef)
        try:
            found = await self._find(wanted)
        except NoPreview:
            return web.Response(status=404)
        except NotReady:
            return web.Response(status=_STARTING, headers={"Retry-After": "1"})
        prefix = "keep" if found.keeps_prefix else "strip"
        told = {"X-WS-Port": str(found.port), "X-WS-Prefix": prefix, "X-WS-App": found.app_id}
        return web.Response(status=204, headers=told)

    async def _find(self, wanted: PreviewRef) -> Address:
        if wanted.user_id is not None:
            return await self._previews.of_user(wanted.user_id)
        if wanted.app_id is not None:
            return await self._previews.of_app(wanted.app_id)
        raise NoPreview("neither a user nor an app was named")
