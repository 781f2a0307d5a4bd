"""Where the apps of a node would go, and whether they fit, before anything is moved.

What an app takes is not known before it is there, so every one is taken to need the same: 2 GiB or 1 % of the
target's disk, whichever is more, and the same share of its inodes. A target takes apps as long as it is forecast to be
above the line below which no node gets new apps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.drains import Resident
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.domain.placement import NoNode, choose, obstacle_to_new_app
from protocol.names import image_registry

_APP_BYTES: Final = 2 * 1024**3
_APP_PCT: Final = 1.0
_REASONS: Final = 20


class DoesNotFit(Exception):
    """Some apps of the node have no place to go."""

    def __init__(self, node: str, forecast: "Forecast") -> None:
        super().__init__(
            f"node {node} cannot be drained: {explanation(forecast)}. Add room or nodes, or drain it in part "
            "(partial): then those apps stay"
        )
        self.data = {"apps": [each.resident.app_id for each in forecast.moves if each.target is None][:_REASONS]}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one app would go; `reasons` when nowhere."""

    resident: Resident
    target: RuntimeNode | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """A node as it is, the apps it would get, its figures after them, and why it takes none or no more."""

    node: RuntimeNode
    apps: int
    after: RuntimeNode
    stops: str | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of every app, and of every other node."""

    moves: tuple[Destination, ...]
    rooms: tuple[Room, ...]

    @property
    def fits(self) -> bool:
        """Whether every app has a place to go."""
        return all(move.target is not None for move in self.moves)

    @property
    def some(self) -> bool:
        """Whether any app has a place to go."""
        return any(move.target is not None for move in self.moves)


@dataclass(frozen=True, slots=True)
class Targets:
    """The other nodes. `unseen` counts apps that came since the node's last heartbeat or are on their way; `holders`
    says, by app, which nodes' engines have the image of an app that is in no registry."""

    nodes: Sequence[RuntimeNode]
    unseen: Mapping[int, int]
    holders: Mapping[str, Collection[int]]
    policy: NodePolicy
    now: int


def forecast(residents: Sequence[Resident], targets: Targets) -> Forecast:
    """One app after the other, each where the forecast of those before leaves the most room."""
    taken = {node.id: targets.unseen.get(node.id, 0) for node in targets.nodes}
    given = dict.fromkeys(taken, 0)
    after = {node.id: filled(node, taken[node.id]) for node in targets.nodes}
    stops = {node.id: _stop(after[node.id], targets) for node in targets.nodes}
    moves = []
    for resident in residents:
        found = _destination(resident, [node for node in after.values() if stops[node.id] is None], stops, targets)
        moves.append(found)
        if found.target is not None:
            number = found.target.id
            taken[number] += 1
            given[number] += 1
            after[number] = filled(next(node for node in targets.nodes if node.id == number), taken[number])
            stop = _stop(after[number], targets)
            stops[number] = f"{stop} with {given[number]} more apps" if stop else None
    rooms = tuple(Room(node, given[node.id], after[node.id], stops[node.id]) for node in targets.nodes)
    return Forecast(tuple(moves), rooms)


def filled(node: RuntimeNode, apps: int) -> RuntimeNode:
    """The node with figures as they are to be expected with so many more apps."""
    total = node.disk_total_bytes
    each = max(_APP_BYTES, (total or 0) * _APP_PCT / 100)
    share = _APP_PCT if not total else max(_APP_PCT, each * 100 / total)
    return replace(
        node,
        disk_free_pct=_less(node.disk_free_pct, apps * share),
        inodes_free_pct=_less(node.inodes_free_pct, apps * share),
        disk_free_bytes=None if node.disk_free_bytes is None else max(0, int(node.disk_free_bytes - apps * each)),
    )


def explanation(forecast: Forecast) -> str:
    """The forecast in one sentence, node by node."""
    lost = [move for move in forecast.moves if move.target is None]
    gets = ", ".join(f"{room.node.name} gets {room.apps}" for room in forecast.rooms if room.apps)
    apps = len(forecast.moves)
    if not lost:
        return f"{apps} of {apps} apps fit: {gets}" if apps else "no app is on it"
    why = "; ".join(dict.fromkeys(reason for move in lost for reason in move.reasons))
    return f"{len(lost)} of {apps} apps have no place to go: {why}" + (f" ({gets})" if gets else "")


def needs_holder(resident: Resident) -> bool:
    """Whether the app's image is in no registry, so that only an engine that has it can start it."""
    return resident.image is not None and image_registry(resident.image) is None


def _destination(
    resident: Resident, fit: Sequence[RuntimeNode], stops: Mapping[int, str | None], targets: Targets
) -> Destination:
    if resident.unknown:
        return Destination(resident, None, (f"app {resident.app_id}: {resident.note}",))
    local = needs_holder(resident)
    holders = targets.holders.get(resident.app_id, ())
    if local:
        fit = [node for node in fit if node.id in holders]
    preferred = next((node for node in fit if node.id == resident.placed_on), None)
    if preferred is not None:
        return Destination(resident, preferred)
    try:
        # What came since the last heartbeat is in the figures already.
        return Destination(resident, choose(resident.app_id, fit, {}, targets.policy, targets.now))
    except NoNode:
        return Destination(resident, None, _reasons(resident, stops, targets, local=local))


def _reasons(resident: Resident, stops: Mapping[int, str | None], targets: Targets, *, local: bool) -> tuple[str, ...]:
    holders = targets.holders.get(resident.app_id, ())
    if local and not holders:
        image = f"its image {resident.image} was never pushed to a registry, and no other node's engine has it"
        return (f"app {resident.app_id}: {image}; deploy it through a registry",)
    asked = [node for node in targets.nodes if not local or node.id in holders]
    return tuple(f"{node.name}: {stops[node.id]}" for node in asked)[:_REASONS] or ("there is no other node",)


def _stop(after: RuntimeNode, targets: Targets) -> str | None:
    obstacle = obstacle_to_new_app(after, targets.policy, targets.now)
    if obstacle is not None:
        return obstacle.message
    return "no byte free" if after.disk_free_bytes == 0 else None


def _less(value: float | None, amount: float) -> float | None:
    return None if value is None else max(0.0, value - amount)
