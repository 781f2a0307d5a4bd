"""Deleting a node."""

from typing import Final

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from daemons.deploy.domain.nodes import NodeNotFound
from daemons.deploy.domain.views import node_view
from daemons.deploy.http.requests import caller
from daemons.deploy.services.node_removal import NodeRemoval
from daemons.deploy.services.reading import Thresholds
from daemons.kit.bodies import query, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.names import NodeName
from protocol.nodes import NodeRemoved

_NAME: Final = TypeAdapter[str](NodeName)


class _Terms(Wire):
    force: bool = False
    readmit: bool = False


class NodeRemovalRoutes:
    """`DELETE /admin/runtime-nodes/{name}`."""

    def __init__(self, removal: NodeRemoval, thresholds: Thresholds) -> None:
        self._removal = removal
        self._thresholds = thresholds

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.delete("/admin/runtime-nodes/{name}", self.delete)]

    @Answers(NodeRemoved, refuses=(404, 409))
    async def delete(self, request: web.Request) -> web.Response:
        """Delete a node that nothing hangs on, or with `force` what hangs on it, too."""
        terms = query(request, _Terms)
        gone = await self._removal.remove(_name(request), caller(request), force=terms.force, readmit=terms.readmit)
        view = node_view(gone.node, self._thresholds.policy, gone.now, len(gone.apps))
        return reply(
            NodeRemoved(node=view, apps=tuple(gone.apps), operations=tuple(gone.operations), readmitted=terms.readmit)
        )


def _name(request: web.Request) -> str:
    try:
        return _NAME.validate_python(request.match_info["name"])
    except ValidationError:
        raise NodeNotFound("of that name") from None
