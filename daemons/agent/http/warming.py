"""What runners tell of images that they are about to deploy here."""

from collections.abc import Sequence

from aiohttp import web

from daemons.agent.domain.images import require_allowed
from daemons.agent.services.recovery import Recovery
from daemons.agent.services.warming import Warming
from daemons.kit.bodies import bare, query, read
from daemons.kit.openapi import Answers
from protocol.apps import AppRef, WarmedImage, WarmImage, WarmState


class WarmingRoutes:
    """`/agent/images/warm`."""

    def __init__(self, warming: Warming, recovery: Recovery, registries: Sequence[str] = ()) -> None:
        self._warming = warming
        self._recovery = recovery
        self._registries = registries

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [web.post("/agent/images/warm", self.warm), web.delete("/agent/images/warm", self.cool)]

    @Answers(WarmedImage, refuses=(403, 503))
    async def warm(self, request: web.Request) -> web.Response:
        """Answered at once; saying it again changes nothing."""
        body = await read(request, WarmImage)
        require_allowed(body.image, self._registries)
        self._recovery.check()
        begun, why = await self._warming.begin(body.user_id, body.app_id, body.image)
        state = WarmState.PULLING if begun else WarmState.HERE if why is None else WarmState.SKIPPED
        return bare(WarmedImage(app_id=body.app_id, state=state, reason=why))

    @Answers(WarmedImage)
    async def cool(self, request: web.Request) -> web.Response:
        """Give it up; nothing to give up is no error."""
        asked = query(request, AppRef)
        given_up = self._warming.end(asked.user_id, asked.app_id)
        reason = "it was given up" if given_up else "nothing was being fetched for the app"
        return bare(WarmedImage(app_id=asked.app_id, state=WarmState.SKIPPED, reason=reason))
