"""What runtime agents call."""

from dataclasses import replace

from aiohttp import web

from daemons.deploy.domain.views import raw_node
from daemons.deploy.http.requests import caller
from daemons.deploy.services.kept_images import KeptImages
from daemons.deploy.services.leases import Leases
from daemons.deploy.services.registry import NodeRegistry
from daemons.kit.bodies import read, reply
from daemons.kit.openapi import Answers
from protocol.apps import ConfirmFence, FenceConfirmed
from protocol.errors import ErrorReason
from protocol.nodes import AppImages, ImagesInUse, ImagesKept, NodeHeartbeat, RawNode


class NodeRoutes:
    """`/internal/runtime-nodes/*` and `/internal/fences/confirm`."""

    def __init__(self, registry: NodeRegistry, leases: Leases, images: KeptImages) -> None:
        self._registry = registry
        self._leases = leases
        self._images = images

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/internal/runtime-nodes/heartbeat", self.heartbeat),
            web.post("/internal/runtime-nodes/images", self.images),
            web.post("/internal/fences/confirm", self.confirm),
        ]

    @Answers(RawNode, refuses=(409,))
    async def heartbeat(self, request: web.Request) -> web.Response:
        """Register or refresh a node."""
        return reply(
            raw_node(await self._registry.heartbeat(await read(request, NodeHeartbeat), caller(request).address))
        )

    @Answers(ImagesKept)
    async def images(self, request: web.Request) -> web.Response:
        """Which images of these apps must stay on a node."""
        order = await read(request, ImagesInUse)
        found = await self._images.of(order.app_ids)
        apps = [AppImages(app_id=each.app_id, known=each.known, kept=each.always, recent=each.recent) for each in found]
        return reply(ImagesKept(apps=tuple(apps)))

    @Answers(FenceConfirmed)
    async def confirm(self, request: web.Request) -> web.Response:
        """Whether an attempt may go live."""
        order = await read(request, ConfirmFence)
        actor = replace(caller(request), name=f"node:{order.node_name}") if order.node_name else caller(request)
        holds = await self._leases.confirm(order.app_id, order.fence, actor)
        return reply(FenceConfirmed(holds=holds, reason=None if holds else ErrorReason.STALE_FENCE.value))
