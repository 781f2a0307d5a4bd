"""Which node an app goes to, and why not the others.

Hard filter: enabled, both URLs, fresh, disk and inodes above the floor, and its agent does not say that its disk is too
full; a node below the drain line takes no new app.
Among the rest the greatest weight x predicted free space wins, where placements that the node's figures cannot show yet
count against it, so that a burst spreads. The strategy `hash` picks by a stable hash instead.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.nodes import (
    AT_NEW_APPS,
    AT_REDEPLOYS,
    NodePolicy,
    Reason,
    RuntimeNode,
    fresh,
    happenings,
    heard,
    held_back,
    shortages,
    silence,
)
from protocol.errors import ErrorReason, PlacementReason
from protocol.nodes import NodeHeartbeat

_APP_BYTES: Final = 2 * 1024**3
_APP_PCT: Final = 1.0
#: A figure is as old as its heartbeat, and an app fills the disk only when its image has come: so long a placement
#: counts against its node, unless the node has reported after the app was deployed.
_ARRIVAL_MS: Final = 120_000
#: Of the nodes that could not take an app so many are named in the reasons of its placement.
_OTHERS_NAMED: Final = 5
_GIB: Final = 1024**3


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
    return _obstacle(node, policy, now, max(policy.disk_min_pct, policy.disk_drain_pct), AT_NEW_APPS)


def obstacle_to_redeploy(node: RuntimeNode, policy: NodePolicy, now: int) -> Obstacle | None:
    """Why the node may not get another deployment of an app it already has, or None."""
    return _obstacle(node, policy, now, policy.disk_min_pct, AT_REDEPLOYS)


def obstacle_to_return(node: RuntimeNode, policy: NodePolicy, now: int) -> Obstacle | None:
    """Why an app that serves on the node may not be deployed there from an image that exists, or None. Such an image is
    most often there already, and going back is a way out for a full node: its agent says whether it has the room."""
    return _obstacle(node, policy, now, 0, ())


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


def takes_more(before: RuntimeNode, after: RuntimeNode, policy: NodePolicy, now: int) -> bool:
    """Whether the node's heartbeat of now lifts what kept apps from it until then."""
    checks = (obstacle_to_redeploy, obstacle_to_new_app)
    return any(check(before, policy, now) is not None and check(after, policy, now) is None for check in checks)


def is_news(before: RuntimeNode, beat: NodeHeartbeat, policy: NodePolicy, at: int) -> bool:
    """Whether a heartbeat that came at `at` does more than refresh the figures of a node that is in touch: it is the
    first, tells of a happening or ends a silence, or it lifts what kept apps from the node."""
    if before.last_heartbeat_at is None or happenings(before, beat) or not fresh(before, policy, at):
        return True
    return takes_more(before, heard(before, beat, at), policy, at)


class Board:
    """The nodes as one batch of decisions sees them: what it chooses counts against the node from then on.

    Making it costs one look at each node, and each choice a step in a heap, however many nodes there are. `unseen`
    counts, by node id, the placements that the node's figures cannot show yet.
    """

    def __init__(self, nodes: Sequence[RuntimeNode], unseen: Mapping[int, int], policy: NodePolicy, now: int) -> None:
        checked = [(node, obstacle_to_new_app(node, policy, now)) for node in sorted(nodes, key=lambda node: node.id)]
        self._obstacles = tuple(obstacle for _, obstacle in checked if obstacle is not None)
        self._others = _kept_out(self._obstacles)
        self._hashes = not policy.disk_aware
        self._fit = [node for node, obstacle in checked if obstacle is None]
        measured = [node for node in self._fit if _free(node) is not None] if policy.disk_aware else []
        in_bytes = all(node.disk_free_bytes is not None for node in measured)
        self._score = _score_bytes if in_bytes else _score_pct
        self._placed = {node.id: unseen.get(node.id, 0) for node in measured}
        self._heap = [(-self._score(node, self._placed[node.id]), node.id, node) for node in measured]
        heapq.heapify(self._heap)

    def decide(self, app_id: str) -> "Decision":
        """As `choose`, with the reasons. Raises NoNode."""
        reasons = self._why(self.best(app_id))
        return Decision(self.choose(app_id), reasons)

    def choose(self, app_id: str) -> RuntimeNode:
        """The node for a new app, which is on it from now on. Raises NoNode."""
        node = self.best(app_id)
        if self._heap:
            self._placed[node.id] += 1
            heapq.heapreplace(self._heap, (-self._score(node, self._placed[node.id]), node.id, node))
        return node

    def best(self, app_id: str) -> RuntimeNode:
        """The node that a new app would get now. Raises NoNode."""
        if not self._fit:
            raise NoNode(self._obstacles)
        return self._heap[0][2] if self._heap else self._fit[stable_hash(app_id) % len(self._fit)]

    def _why(self, node: RuntimeNode) -> tuple[Reason, ...]:
        """Why an app would get this node, the best one, and what kept others from it."""
        fit = len(self._fit)
        if fit == 1:
            first = Reason(PlacementReason.ONLY_NODE, f"{node.name} was the only node that could take it")
        elif self._heap:
            words = f"of the {fit} nodes that could take it {node.name} had the most room for its weight"
            first = Reason(PlacementReason.MOST_ROOM, f"{words}: {_room(node, self._placed[node.id])}")
        else:
            words = f"its hash picked {node.name} among the {fit} nodes that could take it"
            first = Reason(PlacementReason.BY_HASH, words if self._hashes else f"{words}; none tells its free space")
        return (first, *self._others)


@dataclass(frozen=True, slots=True)
class Decision:
    """A node for an app, and why that one."""

    node: RuntimeNode
    reasons: tuple[Reason, ...]


def choose(
    app_id: str, nodes: Sequence[RuntimeNode], unseen: Mapping[int, int], policy: NodePolicy, now: int
) -> RuntimeNode:
    """The node for one new app; for several use one `Board`. Raises NoNode."""
    return Board(nodes, unseen, policy, now).best(app_id)


def unseen_since(nodes: Iterable[RuntimeNode], policy: NodePolicy, now: int) -> int:
    """Placements of before are taken to show in the figures of every node that reports."""
    beats = [node.last_heartbeat_at for node in nodes if fresh(node, policy, now)]
    return min([now - _ARRIVAL_MS, *(beat for beat in beats if beat is not None)])


def stable_hash(text: str) -> int:
    """A signed 32-bit hash that is the same in every process, of the polynomial kind with base 31, so that the strategy
    picks the node that the existing control plane picks."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def reassigned(target: RuntimeNode, actor: str, source: RuntimeNode | None = None) -> tuple[Reason, ...]:
    """Why an app is on a node that somebody named, alone or with others of its node `source`."""
    words = f"{actor} moved it to {target.name}"
    return (Reason(PlacementReason.REASSIGNED, f"{words} with other apps of {source.name}" if source else words),)


def _obstacle(
    node: RuntimeNode, policy: NodePolicy, now: int, floor_pct: float, levels: Collection[str]
) -> Obstacle | None:
    if not node.enabled:
        return Obstacle(node.name, ErrorReason.NODE_DISABLED, "disabled by an operator")
    if not node.agent_base_url or not node.gateway_base_url:
        return Obstacle(node.name, ErrorReason.NODE_STALE, "has no agent or gateway address yet")
    if not fresh(node, policy, now):
        return Obstacle(node.name, ErrorReason.NODE_STALE, silence(node, now))
    low = shortages(node, floor_pct) or held_back(node, levels)
    if low:
        return Obstacle(node.name, ErrorReason.NODE_FULL, ", ".join(each.words for each in low))
    return None


def _kept_out(obstacles: Sequence[Obstacle]) -> tuple[Reason, ...]:
    named = [Reason(obstacle.reason, str(obstacle)) for obstacle in obstacles[:_OTHERS_NAMED]]
    more = len(obstacles) - len(named)
    if more:
        named[-1] = Reason(named[-1].slug, f"{named[-1].words}; and {more} more could not take it")
    return tuple(named)


def _room(node: RuntimeNode, unseen: int) -> str:
    pct, size = node.disk_free_pct, node.disk_free_bytes
    free = [f"{pct:.1f} %"] if pct is not None else []
    free += [f"{size / _GIB:.1f} GiB"] if size is not None else []
    return f"{' or '.join(free)} free, weight {node.weight}, {unseen} apps that its figures do not show yet"


def _free(node: RuntimeNode) -> float | None:
    return node.disk_free_pct if node.disk_free_pct is not None else node.disk_free_bytes


def _score_bytes(node: RuntimeNode, unseen: int) -> float:
    each = max(_APP_BYTES, (node.disk_total_bytes or 0) * _APP_PCT / 100)
    return _weighted(node, (node.disk_free_bytes or 0) - unseen * each)


def _score_pct(node: RuntimeNode, unseen: int) -> float:
    return _weighted(node, (node.disk_free_pct or 0.0) - unseen * _APP_PCT)


def _weighted(node: RuntimeNode, free: float) -> float:
    # What is predicted to be overfull is divided: a greater weight must make it a better choice there, too.
    return free * node.weight if free >= 0 else free / node.weight
