"""Which node an app goes to, and why not the others.

Hard filter: enabled, both URLs, fresh, disk and inodes above the floor; a node below the drain line takes no new app.
Among the rest the greatest weight x predicted free space wins, where placements since the node's last heartbeat count
against it, so that a burst spreads. The strategy `hash` picks by a stable hash instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode, fresh, shortages, silence
from protocol.errors import ErrorReason

_APP_BYTES: Final = 2 * 1024**3
_APP_PCT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a node may not take an app."""

    node: str
    reason: ErrorReason
    message: str

    def __str__(self) -> str:
        return f"{self.node}: {self.message}"


class NodeUnfit(Exception):
    """The node may not take the app."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(f"runtime node {obstacle}")
        self.obstacle = obstacle


class NodeDisabled(NodeUnfit):
    """It is switched off by an operator."""


class NodeStale(NodeUnfit):
    """It has not been heard of, or gave no address."""


class NodeFull(NodeUnfit):
    """It has too little room."""


class NoNode(Exception):
    """No node may take the app."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        why = "; ".join(map(str, obstacles)) or "none is registered"
        super().__init__(f"no runtime node can take a new app: {why}")
        self.obstacles = tuple(obstacles)


def obstacle_to_new_app(node: RuntimeNode, policy: NodePolicy, now: int) -> Obstacle | None:
    """Why the node may not take an app it does not have, or None."""
    return _obstacle(node, policy, now, max(policy.disk_min_pct, policy.disk_drain_pct))


def obstacle_to_redeploy(node: RuntimeNode, policy: NodePolicy, now: int) -> Obstacle | None:
    """Why the node may not get another deployment of an app it already has, or None."""
    return _obstacle(node, policy, now, policy.disk_min_pct)


def require_room(node: RuntimeNode, policy: NodePolicy, now: int) -> None:
    """Raises NodeDisabled, NodeStale or NodeFull unless the node may take a new app."""
    obstacle = obstacle_to_new_app(node, policy, now)
    if obstacle is None:
        return
    if obstacle.reason is ErrorReason.NODE_DISABLED:
        raise NodeDisabled(obstacle)
    if obstacle.reason is ErrorReason.NODE_FULL:
        raise NodeFull(obstacle)
    raise NodeStale(obstacle)


def choose(
    app_id: str, nodes: Sequence[RuntimeNode], unseen: Mapping[int, int], policy: NodePolicy, now: int
) -> RuntimeNode:
    """The node for a new app. `unseen` counts, by node id, placements since its last heartbeat. Raises NoNode."""
    checked = [(node, obstacle_to_new_app(node, policy, now)) for node in sorted(nodes, key=lambda node: node.id)]
    fit = [node for node, obstacle in checked if obstacle is None]
    if not fit:
        raise NoNode([obstacle for _, obstacle in checked if obstacle is not None])
    measured = [node for node in fit if _free(node) is not None]
    if not policy.disk_aware or not measured:
        return fit[stable_hash(app_id) % len(fit)]
    if all(node.disk_free_bytes is not None for node in measured):
        return max(measured, key=lambda node: (_score_bytes(node, unseen), -node.id))
    return max(measured, key=lambda node: (_score_pct(node, unseen), -node.id))


def stable_hash(text: str) -> int:
    """A signed 32-bit hash that is the same in every process, of the polynomial kind with base 31, so that the strategy
    picks the node that the existing control plane picks."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def _obstacle(node: RuntimeNode, policy: NodePolicy, now: int, floor_pct: float) -> Obstacle | None:
    if not node.enabled:
        return Obstacle(node.name, ErrorReason.NODE_DISABLED, "disabled by an operator")
    if not node.agent_base_url or not node.gateway_base_url:
        return Obstacle(node.name, ErrorReason.NODE_STALE, "has no agent or gateway address yet")
    if not fresh(node, policy, now):
        return Obstacle(node.name, ErrorReason.NODE_STALE, silence(node, now))
    low = shortages(node, floor_pct)
    if low:
        return Obstacle(node.name, ErrorReason.NODE_FULL, ", ".join(low))
    return None


def _free(node: RuntimeNode) -> float | None:
    return node.disk_free_pct if node.disk_free_pct is not None else node.disk_free_bytes


def _score_bytes(node: RuntimeNode, unseen: Mapping[int, int]) -> float:
    each = max(_APP_BYTES, (node.disk_total_bytes or 0) * _APP_PCT / 100)
    return node.weight * ((node.disk_free_bytes or 0) - unseen.get(node.id, 0) * each)


def _score_pct(node: RuntimeNode, unseen: Mapping[int, int]) -> float:
    return node.weight * ((node.disk_free_pct or 0.0) - unseen.get(node.id, 0) * _APP_PCT)
