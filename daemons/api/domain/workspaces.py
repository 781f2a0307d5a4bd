"""Workspace nodes as the API knows them, and where a user's workspace is to live.

A user stays on the node that has the files. New users go to nodes that are enabled, were heard of of late, said both
addresses and have more of their disk free than the line; among them the greatest weight per load wins, where users who
came since a node's last heartbeat count as load that its figures cannot show yet, so that a burst spreads. Nodes that
carry as many as they may come last, whatever their weight: who edits files alone finds room there still.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.workspace_nodes import WorkspaceNodeHealth

#: A frozen container holds memory and no processor.
_FROZEN_LOAD: Final = 0.25
#: A node that tells of a slower beat than the registry expects is stale after so many of its own.
_BEATS: Final = 2.5


class NoWorkspaceNode(Exception):
    """No node can take a new user; the message says why of each."""

    def __init__(self, obstacles: Sequence[str]) -> None:
        why = "; ".join(obstacles) or "none is registered"
        super().__init__(f"no workspace node can take a new user: {why}")


class WorkspaceNodeDisabled(Exception):
    """The user's node is switched off by an operator."""


class NoWorkspace(Exception):
    """The user has no workspace yet, and the call is none that makes one."""


class UnknownWorkspaceNode(Exception):
    """There is no such node."""


class WorkspaceNodeNameTaken(Exception):
    """Another node has the name."""


class PlacementChanged(Exception):
    """The user was moved meanwhile."""


class MoveRefused(Exception):
    """A user's workspace cannot be brought to the other node; nothing was changed."""


class ForeignNodeName(Exception):
    """The token is not that of the node which the heartbeat names."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a node told of itself last; None: it did not say."""

    running: int | None = None
    frozen: int | None = None
    stopped: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    quota: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceNode:
    """A node's row; times in epoch milliseconds of the database."""

    id: int
    name: str
    nginx_base_url: str
    api_base_url: str
    enabled: bool = True
    weight: int = 100
    heard_at: int | None = None
    interval_seconds: int | None = None
    load: Load = field(default_factory=Load)
    cordoned: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """What a node reports."""

    name: str
    nginx_base_url: str
    api_base_url: str
    interval_seconds: int | None
    load: Load


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a user's workspace lives. The epoch rises with every move; `active_at` is when it was last used."""

    user_id: int
    node_id: int
    epoch: int
    active_at: int


@dataclass(frozen=True, slots=True)
class Users:
    """How many live on a node, and how many of them came since it reported last."""

    assigned: int = 0
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class PlacementPolicy:
    """`stale_seconds` without a heartbeat a node takes no new users, nor with less of its disk free than
    `disk_min_pct`. A node carries `most_running` runs; None: as many as come."""

    stale_seconds: int = 60
    disk_min_pct: float = 15.0
    most_running: int | None = None


def health(node: WorkspaceNode, policy: PlacementPolicy, now: int) -> WorkspaceNodeHealth:
    """Whether the node was heard of of late."""
    if node.heard_at is None:
        return WorkspaceNodeHealth.UNKNOWN
    patience = max(policy.stale_seconds, _BEATS * (node.interval_seconds or 0))
    silent = now - node.heard_at > patience * 1000
    return WorkspaceNodeHealth.STALE if silent else WorkspaceNodeHealth.HEALTHY


def obstacle(node: WorkspaceNode, policy: PlacementPolicy, now: int) -> str | None:
    """Why the node takes no new users, or None."""
    if not node.enabled:
        return "it is disabled"
    if node.cordoned:
        return "an operator lets it take no new users"
    if not node.nginx_base_url or not node.api_base_url:
        return "it has not told both of its addresses"
    state = health(node, policy, now)
    if state is not WorkspaceNodeHealth.HEALTHY:
        return "it was never heard of" if node.heard_at is None else _silence(node.heard_at, now)
    free, total = node.load.disk_free_bytes, node.load.disk_total_bytes
    if free is not None and total and free * 100 < policy.disk_min_pct * total:
        return f"{free * 100 // total} % of its disk is free, and {policy.disk_min_pct:g} % must be"
    return None


def choose(
    nodes: Sequence[WorkspaceNode], users: Mapping[int, Users], policy: PlacementPolicy, now: int
) -> WorkspaceNode:
    """The node for a new user. Raises NoWorkspaceNode."""
    checked = [(node, obstacle(node, policy, now)) for node in nodes]
    fit = [node for node, problem in checked if problem is None]
    if not fit:
        raise NoWorkspaceNode([f"{node.name}: {problem}" for node, problem in checked])

    def rank(node: WorkspaceNode) -> tuple[bool, float, int, int]:
        awake, busy = _busy(node, users.get(node.id, Users()))
        room = policy.most_running is None or awake < policy.most_running
        return room, node.weight / (1 + busy), node.load.disk_free_bytes or 0, -node.id

    return max(fit, key=rank)


def _busy(node: WorkspaceNode, users: Users) -> tuple[float, float]:
    """How many workspaces are awake there, and that with those which sleep at their lower price. A node that tells
    nothing of its load is judged by how many live there."""
    load = node.load
    if load.running is None:
        return users.assigned, users.assigned
    awake = load.running + users.unseen
    return awake, awake + _FROZEN_LOAD * (load.frozen or 0)


def _silence(heard_at: int, now: int) -> str:
    return f"it was last heard of {(now - heard_at) // 1000} s ago"
