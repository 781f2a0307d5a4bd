"""Everything of the API that is about workspaces, over its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api.adapters.node_busy import NodeBusy
from daemons.api.adapters.node_editing import NodeEditing
from daemons.api.adapters.sql.moves import SqlMoves
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.capacity import NodeFull
from daemons.api.domain.forwarding import Ambiguous, NotForwarded
from daemons.api.domain.moves import MoveExists, MoveLost, TooLateToCancel, UnknownMove
from daemons.api.domain.workspaces import (
    ForeignNodeName,
    MoveRefused,
    NoWorkspace,
    NoWorkspaceNode,
    PlacementChanged,
    PlacementPolicy,
    UnknownWorkspaceNode,
    WorkspaceNodeDisabled,
    WorkspaceNodeNameTaken,
)
from daemons.api.http.apps import AppRoutes
from daemons.api.http.editors import EditorRoutes
from daemons.api.http.workspace_backups import WorkspaceBackupRoutes
from daemons.api.http.workspace_gateway import WorkspaceGatewayRoutes, gateway_gate
from daemons.api.http.workspace_moves import WorkspaceMoveRoutes
from daemons.api.http.workspace_nodes import WorkspaceNodeRoutes, node_gates
from daemons.api.http.workspace_operators import WorkspaceOperatorRoutes
from daemons.api.http.workspaces import WorkspaceRoutes
from daemons.api.ports import AppStore, UserStore
from daemons.api.ports.moves import MovingNodes, OrderRefused
from daemons.api.ports.workspaces import (
    BodyRefused,
    CallRefused,
    Holdings,
    Movers,
    NodeCalls,
    NodeRefusedSocket,
    NodeUnreachable,
)
from daemons.api.services.apps import Apps
from daemons.api.services.backups import Backups
from daemons.api.services.editors import Editors
from daemons.api.services.moves import Moves
from daemons.api.services.moving import Around, Moving, Pace
from daemons.api.services.node_room import NodeRoom
from daemons.api.services.ownership import Ownership
from daemons.api.services.workspace_nodes import OnlyWithoutFiles, WorkspaceNodes
from daemons.api.services.workspace_operators import OperatedWorkspaces
from daemons.api.services.workspace_ways import TooManyCalls, Ways
from daemons.kit.auth import Gate, Network
from daemons.kit.problems import Problems
from daemons.kit.sql import Database
from daemons.kit.tasks import background
from protocol.errors import ErrorReason

WORKSPACE_PROBLEMS: Final[Problems] = {
    Ambiguous: (400, ErrorReason.INVALID_REQUEST),
    ForeignNodeName: (403, ErrorReason.FORBIDDEN),
    NotForwarded: (404, ErrorReason.NOT_FOUND),
    NoWorkspace: (404, ErrorReason.NOT_FOUND),
    UnknownWorkspaceNode: (404, ErrorReason.NOT_FOUND),
    WorkspaceNodeNameTaken: (409, ErrorReason.ALREADY_EXISTS),
    PlacementChanged: (409, ErrorReason.CHANGED),
    UnknownMove: (404, ErrorReason.NOT_FOUND),
    MoveExists: (409, ErrorReason.ALREADY_EXISTS),
    TooLateToCancel: (409, ErrorReason.TOO_LATE),
    MoveLost: (409, ErrorReason.CHANGED),
    OrderRefused: (409, ErrorReason.NODE_IN_USE),
    MoveRefused: (409, ErrorReason.NODE_IN_USE),
    BodyRefused: (415, ErrorReason.UNSUPPORTED_MEDIA_TYPE),
    TooManyCalls: (429, ErrorReason.RATE_LIMITED),
    NodeUnreachable: (502, ErrorReason.PEER_FAILED),
    CallRefused: (502, ErrorReason.PEER_FAILED),
    NodeRefusedSocket: (502, ErrorReason.PEER_FAILED),
    NodeFull: (503, ErrorReason.NODE_FULL),
    NoWorkspaceNode: (503, ErrorReason.NO_NODE),
    WorkspaceNodeDisabled: (503, ErrorReason.NODE_DISABLED),
}


@dataclass(frozen=True, slots=True)
class NodeTokens:
    """Who may report as a node: the holders of the shared tokens, and by name those with their own; and from where."""

    shared: Sequence[str] = field(default=(), repr=False)
    own: Mapping[str, str] = field(default_factory=dict, repr=False)
    networks: Sequence[Network] = ()


@dataclass(frozen=True, slots=True)
class WorkspaceParts:
    """What is outside; without `movers` only users without files change their nodes at once, and without `moving`
    nobody carries moves out, and there are no backups."""

    calls: NodeCalls
    holdings: Holdings
    node_tokens: NodeTokens = field(default_factory=NodeTokens)
    gateway_tokens: Sequence[str] = field(default=(), repr=False)
    policy: PlacementPolicy = field(default_factory=PlacementPolicy)
    movers: Movers | None = None
    moving: MovingNodes | None = None
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Known:
    """What of the rest of the API workspaces stand on."""

    database: Database
    users: UserStore
    apps: AppStore
    ownership: Ownership
    editable: Apps
    views: AppRoutes
    admin: Gate


def workspace_gates(parts: WorkspaceParts) -> tuple[Sequence[Gate], Gate]:
    """Of nodes and of gateways."""
    tokens = parts.node_tokens
    return node_gates(tokens.shared, tokens.own, tokens.networks), gateway_gate(parts.gateway_tokens)


def add_workspaces(app: web.Application, known: Known, parts: WorkspaceParts) -> None:
    """The routes of workspaces and of their nodes."""
    store = SqlWorkspaces(known.database)
    movers = parts.movers or OnlyWithoutFiles(parts.holdings)
    registry = WorkspaceNodes(store, movers, known.users, parts.policy, frozenset(parts.node_tokens.own))
    nodes = WorkspaceNodeRoutes(registry)
    ways = Ways(store, known.apps, known.ownership, parts.policy)
    room = NodeRoom(NodeBusy(parts.calls), parts.policy.most_running)
    workspaces = WorkspaceRoutes(ways, parts.calls, room, known.admin)
    app.add_routes(nodes.node_table())
    app.add_routes(nodes.admin_table())
    _add_moves(app, known, parts, store)
    app.add_routes(WorkspaceGatewayRoutes(ways).table())
    app.add_routes(workspaces.table())
    editors = Editors(ways, known.ownership, known.editable, NodeEditing(parts.calls))
    app.add_routes(EditorRoutes(editors, known.views.view).table())
    operators = WorkspaceOperatorRoutes(OperatedWorkspaces(store, parts.calls), parts.calls)
    app.add_routes(operators.table())
    app.on_shutdown.append(workspaces.close)
    app.on_shutdown.append(operators.close)


def _add_moves(app: web.Application, known: Known, parts: WorkspaceParts, store: SqlWorkspaces) -> None:
    rows = SqlMoves(known.database, parts.pace.lease_seconds)
    app.add_routes(WorkspaceMoveRoutes(Moves(rows, store, parts.policy)).table())
    if parts.moving is not None:
        around = Around(rows, store, parts.moving, parts.holdings, parts.policy)
        app.cleanup_ctx.append(background(Moving(around, parts.pace).run))
        backups = Backups(rows, store, known.users, parts.moving, parts.policy)
        app.add_routes(WorkspaceBackupRoutes(backups).table())
