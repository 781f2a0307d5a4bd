"""What operators call."""

from typing import Literal

from aiohttp import web

from daemons.deploy.domain.views import node_view, placement_view, runner_view
from daemons.deploy.http.requests import caller
from daemons.deploy.services.feed import Feed
from daemons.deploy.services.housekeeping import Housekeeping
from daemons.deploy.services.placements import Placements
from daemons.deploy.services.reading import Reader, Thresholds
from daemons.deploy.services.registry import NodeRegistry, RunnerRegistry
from daemons.kit.bodies import expected, number, query, read, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.events import Snapshot
from protocol.names import NodeName, RunnerId
from protocol.nodes import (
    CollectNode,
    DrainNode,
    DrainResult,
    NodeCollected,
    NodeNumber,
    NodeView,
    PlacementPage,
    ReassignApp,
    RunnerView,
    UpsertNode,
)


class _SetEnabled(Wire):
    name: NodeName
    enabled: bool


class _SetDrained(Wire):
    runner_id: RunnerId
    drained: bool


class _OfNode(Wire):
    node_id: NodeNumber


class AdminRoutes:
    """`/admin`, but for the event stream."""

    def __init__(
        self,
        nodes: NodeRegistry,
        runners: RunnerRegistry,
        placements: Placements,
        reader: Reader,
        feed: Feed,
        thresholds: Thresholds,
        housekeeping: Housekeeping,
    ) -> None:
        self._nodes = nodes
        self._runners = runners
        self._placements = placements
        self._reader = reader
        self._feed = feed
        self._thresholds = thresholds
        self._housekeeping = housekeeping

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/admin/snapshot", self.snapshot),
            web.get("/admin/runtime-nodes/list", self.list_nodes),
            web.post("/admin/runtime-nodes/upsert", self.upsert),
            web.post("/admin/runtime-nodes/set-enabled", self.set_enabled),
            web.get("/admin/runtime-nodes/placements", self.page),
            web.post("/admin/runtime-nodes/reassign", self.reassign),
            web.post("/admin/runtime-nodes/drain", self.drain),
            web.post("/admin/runtime-nodes/collect", self.collect),
            web.get("/admin/runners/list", self.list_runners),
            web.post("/admin/runners/set-drained", self.set_drained),
        ]

    @Answers(Snapshot)
    async def snapshot(self, _request: web.Request) -> web.Response:
        """Everything a console shows."""
        await self._runners.write()
        return reply(await self._reader.snapshot(await self._feed.place()))

    @Answers(list[NodeView])
    async def list_nodes(self, _request: web.Request) -> web.Response:
        """All nodes."""
        found, policy = await self._nodes.nodes(), self._thresholds.policy
        return reply([node_view(node, policy, found.now, found.placements.get(node.id, 0)) for node in found.nodes])

    @Answers(NodeView, refuses=(409,))
    async def upsert(self, request: web.Request) -> web.Response:
        """Register or edit a node."""
        node = await self._nodes.upsert(await read(request, UpsertNode), caller(request))
        found = await self._nodes.nodes()
        return reply(node_view(node, self._thresholds.policy, found.now, found.placements.get(node.id, 0)))

    @Answers(Literal["enabled", "disabled"], refuses=(404, 409))
    async def set_enabled(self, request: web.Request) -> web.Response:
        """Cordon or uncordon a node."""
        order = query(request, _SetEnabled)
        node = await self._nodes.set_enabled(
            order.name, enabled=order.enabled, actor=caller(request), seen=expected(request)
        )
        return reply("enabled" if node.enabled else "disabled")

    @Answers(PlacementPage, refuses=(404,))
    async def page(self, request: web.Request) -> web.Response:
        """One page of a node's placements."""
        node_id = query(request, _OfNode).node_id
        offset = number(request, "offset", default=0, low=0, high=2**31)
        page = await self._placements.page(node_id, offset, number(request, "limit", default=200, low=1, high=2000))
        return reply(PlacementPage(node_id=node_id, total=page.total, items=tuple(map(placement_view, page.items))))

    @Answers(Literal["ok"], refuses=(404, 409))
    async def reassign(self, request: web.Request) -> web.Response:
        """Move one app's placement."""
        order = await read(request, ReassignApp)
        await self._placements.reassign(order.app_id, order.target_node_id, caller(request), expected(request))
        return reply("ok")

    @Answers(DrainResult, refuses=(404, 409))
    async def drain(self, request: web.Request) -> web.Response:
        """Move placements from one node to another."""
        order = await read(request, DrainNode)
        source, target = order.source_node_id, order.target_node_id
        moved = await self._placements.drain(source, target, order.limit, caller(request))
        return reply(DrainResult(moved=moved, source_node_id=source, target_node_id=target))

    @Answers(NodeCollected, refuses=(404, 409, 502))
    async def collect(self, request: web.Request) -> web.Response:
        """Have a node remove what nobody needs."""
        name = (await read(request, CollectNode)).name
        return reply(await self._housekeeping.collect(name, caller(request), expected(request)))

    @Answers(RunnerView, refuses=(404, 409))
    async def set_drained(self, request: web.Request) -> web.Response:
        """Let a runner take no more work, or take work again."""
        order, who = query(request, _SetDrained), caller(request)
        now, runner = await self._runners.drain(
            order.runner_id, drained=order.drained, actor=who, seen=expected(request)
        )
        return reply(runner_view(runner, self._thresholds.runner_stale_ms, now))

    @Answers(list[RunnerView])
    async def list_runners(self, _request: web.Request) -> web.Response:
        """All runners, healthy ones first."""
        now, runners = await self._runners.runners()
        views = [runner_view(runner, self._thresholds.runner_stale_ms, now) for runner in runners]
        views.sort(key=lambda view: (view.health.value, view.runner_id))
        return reply(views)
