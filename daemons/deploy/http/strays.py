"""Containers that nobody answers for, for operators."""

from aiohttp import web

from daemons.deploy.domain.views import when
from daemons.deploy.services.strays import Looked, Strays
from daemons.kit.bodies import query, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.inventory import StrayContainer, StrayReport, UnaskedNode
from protocol.names import NodeName


class _OnNode(Wire):
    node: NodeName | None = None


class StrayRoutes:
    """`GET /admin/strays`."""

    def __init__(self, strays: Strays) -> None:
        self._strays = strays

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/admin/strays", self.look)]

    @Answers(StrayReport, refuses=(404,))
    async def look(self, request: web.Request) -> web.Response:
        """Ask the nodes."""
        now, found = await self._strays.look(query(request, _OnNode).node)
        return reply(
            StrayReport(
                at=when(now),
                asked=tuple(each.node.name for each in found if each.problem is None),
                strays=tuple(view for each in found for view in _views(each)),
                unasked=tuple(UnaskedNode(node=each.node.name, message=each.problem) for each in found if each.problem),
            )
        )


def _views(looked: Looked) -> list[StrayContainer]:
    return [
        StrayContainer(
            node=looked.node.name,
            container=each.container.name,
            user_id=each.container.user_id,
            app_id=each.container.app_id,
            running=each.container.running,
            reason=str(each.reason.slug),
            message=each.reason.words,
        )
        for each in looked.strays
    ]
