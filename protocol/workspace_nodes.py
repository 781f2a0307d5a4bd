"""Workspace nodes and placements on the wire: what nodes report, and what operators see and order."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from protocol.base import Wire
from protocol.names import BaseUrl, NodeName, ShortText, UserId
from protocol.workspaces import Epoch

#: A node's id as callers may name it: above 2^53 - 1 a reader in JavaScript would see another number.
NodeNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Weight = Annotated[int, Field(ge=1, le=10_000)]


def _flag(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else value


#: Existing clients write 0 and 1.
Flag = Annotated[bool, BeforeValidator(_flag)]


class WorkspaceNodeHealth(StrEnum):
    """Whether a node was heard of of late."""

    HEALTHY = "HEALTHY"
    STALE = "STALE"
    UNKNOWN = "UNKNOWN"


class WorkspaceNodeLoad(Wire):
    """How much a node does and has room for; what is unknown is absent. `quota` is how it bounds users' disks."""

    containers_running: Count | None = None
    containers_frozen: Count | None = None
    containers_stopped: Count | None = None
    disk_free_bytes: Count | None = None
    disk_total_bytes: Count | None = None
    quota: Annotated[str, StringConstraints(max_length=16)] | None = None


class WorkspaceNodeHeartbeat(WorkspaceNodeLoad):
    """What a workspace node reports of itself every `intervalSeconds`."""

    node_name: NodeName
    nginx_base_url: BaseUrl
    api_base_url: BaseUrl
    version: ShortText | None = None
    interval_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None


class RawWorkspaceNode(Wire):
    """A node's row."""

    id: NodeNumber
    name: str
    nginx_base_url: str
    api_base_url: str
    enabled: Flag
    weight: int
    last_heartbeat_at: datetime | None = None
    cordoned: Flag = False


class WorkspaceNodeView(WorkspaceNodeLoad):
    """A node as operators see it; `reason` says why it takes no new users, if it takes none."""

    node_id: NodeNumber
    name: str
    nginx_base_url: str
    api_base_url: str
    enabled: Flag
    weight: int
    assigned_users: Count
    last_heartbeat_at_ms: int | None = None
    health: WorkspaceNodeHealth
    version: str | None = None
    reason: str | None = None
    cordoned: Flag = False


class WorkspaceNodes(Wire):
    """All nodes."""

    total_users: Count
    total_placements: Count
    nodes: tuple[WorkspaceNodeView, ...]


class UpsertWorkspaceNode(Wire):
    """A node to add, or to change: the one with the id, or else the one of that name."""

    id: NodeNumber | None = None
    name: NodeName
    nginx_base_url: BaseUrl
    api_base_url: BaseUrl
    enabled: Flag = False
    weight: Weight = 100


class SetWorkspaceNodeEnabled(Wire):
    """Whether a node is in service."""

    node_id: NodeNumber
    enabled: Flag


class OfWorkspaceNode(Wire):
    """Which node."""

    node_id: NodeNumber


class WorkspacePlacementView(Wire):
    """Where a user's workspace lives; `lastActiveAt` in epoch milliseconds, 0: never."""

    user_id: UserId
    node_id: NodeNumber
    last_active_at: int
    epoch: Epoch


class WorkspacePlacements(Wire):
    """Some of a node's users, in the order of their ids, and how many there are."""

    node_id: NodeNumber
    total: Count
    items: tuple[WorkspacePlacementView, ...]


class ReassignWorkspace(Wire):
    """A user who is to live on another node."""

    user_id: UserId
    target_node_id: NodeNumber


class DrainWorkspaces(Wire):
    """Users of a node who are to live on another one, at most so many of them."""

    source_node_id: NodeNumber
    target_node_id: NodeNumber
    limit: Annotated[int, Field(ge=1, le=2000)] = 100


class WorkspacesDrained(Wire):
    """What came of a drain: how many users were moved, and who was not and why."""

    source_node_id: NodeNumber
    target_node_id: NodeNumber
    moved: Count
    refused: dict[str, str] = Field(default_factory=dict)


class WorkspaceHeld(Wire):
    """Whether a node has anything of a user's: a container, a record of one, or files."""

    user_id: UserId
    held: bool
