"""The registry of workspace nodes: heartbeats, and what operators see and order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from daemons.api.domain.workspaces import Beat, Load, Placement, WorkspaceNode
from daemons.api.http.conditional import unless_known
from daemons.api.services.workspace_nodes import Standing, WorkspaceNodes
from daemons.kit.auth import CALLER, Gate, Network
from daemons.kit.bodies import number, query, read, reply
from daemons.kit.openapi import Answers
from protocol.headers import WORKSPACE_NODE_TOKEN
from protocol.workspace_nodes import (
    DrainWorkspaces,
    OfWorkspaceNode,
    RawWorkspaceNode,
    ReassignWorkspace,
    SetWorkspaceNodeEnabled,
    UpsertWorkspaceNode,
    WorkspaceNodeHeartbeat,
    WorkspaceNodeView,
    WorkspacePlacements,
    WorkspacePlacementView,
    WorkspacesDrained,
)
from protocol.workspace_nodes import (
    WorkspaceNodes as NodesView,
)

_BASE: Final = "/api/fun-ai/admin/workspace-nodes"
_NODE: Final = "workspace-node:"


def node_gates(shared: Sequence[str], own: Mapping[str, str], networks: Sequence[Network]) -> tuple[Gate, ...]:
    """One gate for the shared token, and one for each node that has its own; the gate's name carries the node's."""
    among = tuple(networks)
    bound = (Gate(f"{_NODE}{name}", WORKSPACE_NODE_TOKEN, (token,), networks=among) for name, token in own.items())
    return (Gate(_NODE, WORKSPACE_NODE_TOKEN, tuple(shared), networks=among), *bound)


def node_of(request: web.Request) -> str:
    """The node whose own token opened the route; empty for the shared one."""
    return request[CALLER].removeprefix(_NODE)


class WorkspaceNodeRoutes:
    """Sections B.6 and B.7 of the contract."""

    def __init__(self, nodes: WorkspaceNodes) -> None:
        self._nodes = nodes

    def node_table(self) -> list[web.RouteDef]:
        """For workspace nodes."""
        return [web.post(f"{_BASE}/heartbeat", self.hear)]

    def admin_table(self) -> list[web.RouteDef]:
        """For operators."""
        return [
            web.get(f"{_BASE}/list", self.all),
            web.post(f"{_BASE}/upsert", self.save),
            web.post(f"{_BASE}/set-enabled", self.enable),
            web.get(f"{_BASE}/placements", self.placements),
            web.post(f"{_BASE}/reassign", self.reassign),
            web.post(f"{_BASE}/drain", self.drain),
        ]

    @Answers(RawWorkspaceNode, refuses=(409,))
    async def hear(self, request: web.Request) -> web.Response:
        """A node's heartbeat."""
        beat = await read(request, WorkspaceNodeHeartbeat)
        return reply(raw_node(await self._nodes.hear(_beat(beat), node_of(request) or None)))

    @Answers(NodesView, also={304: "as it was"}, headers=("If-None-Match",))
    async def all(self, request: web.Request) -> web.Response:
        """Every node."""
        standings, users = await self._nodes.all()
        views = tuple(_view(each) for each in standings)
        placed = sum(each.users.assigned for each in standings)
        return unless_known(request, reply(NodesView(total_users=users, total_placements=placed, nodes=views)))

    @Answers(RawWorkspaceNode, refuses=(404, 409))
    async def save(self, request: web.Request) -> web.Response:
        """Add or change a node."""
        order = await read(request, UpsertWorkspaceNode)
        addresses = order.nginx_base_url, order.api_base_url
        node = WorkspaceNode(order.id or 0, order.name, *addresses, order.enabled, order.weight)
        return reply(raw_node(await self._nodes.save(node)))

    @Answers(RawWorkspaceNode, refuses=(404,))
    async def enable(self, request: web.Request) -> web.Response:
        """Switch a node on or off."""
        order = query(request, SetWorkspaceNodeEnabled)
        return reply(raw_node(await self._nodes.enable(order.node_id, enabled=order.enabled)))

    @Answers(WorkspacePlacements, refuses=(404,))
    async def placements(self, request: web.Request) -> web.Response:
        """A node's users."""
        node_id = query(request, OfWorkspaceNode).node_id
        offset = number(request, "offset", default=0, low=0, high=2**53)
        limit = number(request, "limit", default=200, low=1, high=2000)
        total, found = await self._nodes.placements(node_id, offset, limit)
        return reply(WorkspacePlacements(node_id=node_id, total=total, items=tuple(map(_placement, found))))

    @Answers(WorkspacePlacementView, refuses=(404, 409, 502))
    async def reassign(self, request: web.Request) -> web.Response:
        """Let a user live on another node."""
        order = await read(request, ReassignWorkspace)
        return reply(_placement(await self._nodes.reassign(order.user_id, order.target_node_id)))

    @Answers(WorkspacesDrained, refuses=(404, 409, 502))
    async def drain(self, request: web.Request) -> web.Response:
        """Let a node's users live on another one."""
        order = await read(request, DrainWorkspaces)
        done = await self._nodes.drain(order.source_node_id, order.target_node_id, order.limit)
        return reply(
            WorkspacesDrained(
                source_node_id=order.source_node_id,
                target_node_id=order.target_node_id,
                moved=done.moved,
                refused=dict(done.refused),
            )
        )


def _beat(beat: WorkspaceNodeHeartbeat) -> Beat:
    load = Load(
        running=beat.containers_running,
        frozen=beat.containers_frozen,
        stopped=beat.containers_stopped,
        disk_free_bytes=beat.disk_free_bytes,
        disk_total_bytes=beat.disk_total_bytes,
        quota=beat.quota,
        version=beat.version,
    )
    return Beat(beat.node_name, beat.nginx_base_url, beat.api_base_url, beat.interval_seconds, load)


def raw_node(node: WorkspaceNode) -> RawWorkspaceNode:
    """A node's row as existing clients read it."""
    heard = None if node.heard_at is None else datetime.fromtimestamp(node.heard_at / 1000, UTC)
    return RawWorkspaceNode(
        id=node.id,
        name=node.name,
        nginx_base_url=node.nginx_base_url,
        api_base_url=node.api_base_url,
        enabled=node.enabled,
        weight=node.weight,
        last_heartbeat_at=heard,
        cordoned=node.cordoned,
    )


def _view(standing: Standing) -> WorkspaceNodeView:
    node, load = standing.node, standing.node.load
    return WorkspaceNodeView(
        node_id=node.id,
        name=node.name,
        nginx_base_url=node.nginx_base_url,
        api_base_url=node.api_base_url,
        enabled=node.enabled,
        weight=node.weight,
        assigned_users=standing.users.assigned,
        last_heartbeat_at_ms=node.heard_at,
        health=standing.health,
        version=load.version,
        reason=standing.obstacle,
        cordoned=node.cordoned,
        containers_running=load.running,
        containers_frozen=load.frozen,
        containers_stopped=load.stopped,
        disk_free_bytes=load.disk_free_bytes,
        disk_total_bytes=load.disk_total_bytes,
        quota=load.quota,
    )


def _placement(placement: Placement) -> WorkspacePlacementView:
    return WorkspacePlacementView(
        user_id=str(placement.user_id),
        node_id=placement.node_id,
        last_active_at=placement.active_at,
        epoch=placement.epoch,
    )
