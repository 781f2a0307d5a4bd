"""Layers that former builds left for the next ones: which are ours, and which go first when room is needed.

A layer is what a builder keeps after an instruction: an image without a name. Ours is what a build of this runner was
seen to make. The text that tells so also carries whatever the build's own programs print, so that seeing a layer proves
nothing alone: it must have come to be after the build began. What another made, pulled or imported before never did.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Builders print the beginning of an id, buildah the shortest: eleven digits, 44 bits.
_KEY: Final = 11
_TOLD: Final = re.compile(r" ?-{2,3}> (?:Using cache )?([0-9a-f]{11,64})")
#: The newest builds of each app whose layers stay as long as others can go: one may have failed half-way.
_NEWEST: Final = 2
#: Builders tell the time of a layer in whole seconds.
_ROUNDED_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """An image. `named`: it has a name that does more than keep it for later builds; `own`: it is where nobody but this
    runner puts anything; `created` in epoch seconds."""

    id: str
    created: int
    parent: str = ""
    named: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """The app whose build saw a layer last; when the builds began that saw it first and last, in epoch seconds."""

    app_id: str
    first: float
    last: float


def key(image_id: str) -> str:
    """What an id is known by."""
    return image_id.removeprefix("sha256:")[:_KEY]


def told(line: str) -> str | None:
    """The layer that a line of a builder's output tells of, by its key."""
    found = _TOLD.fullmatch(line.rstrip())
    return key(found[1]) if found else None


def is_ours(layer: Layer, uses: Mapping[str, Use]) -> bool:
    """Whether a build of ours made it and nobody needs it by name."""
    if layer.named:
        return False
    if layer.own:
        return True
    use = uses.get(key(layer.id))
    return use is not None and layer.created + _ROUNDED_SECONDS >= use.first


def removable(layers: Sequence[Layer], uses: Mapping[str, Use]) -> tuple[str, ...]:
    """The ids of the layers of ours that may go, the first to go first, children before what they stand on.

    First those that the newest builds of their app did not use, then all others, each the longest unused first. What
    an image stands on that stays, stays.
    """
    kept = _with_ancestors({layer.id for layer in layers if not is_ours(layer, uses)}, layers)
    order = _Order(layers, uses)
    going = [layer for layer in layers if layer.id not in kept]
    return tuple(layer.id for layer in sorted(going, key=order.of))


def newest_builds(uses: Iterable[Use]) -> Mapping[str, float]:
    """By app, when the oldest of its newest builds began."""
    builds: dict[str, set[float]] = {}
    for use in uses:
        builds.setdefault(use.app_id, set()).add(use.last)
    return {app_id: sorted(times)[-_NEWEST:][0] for app_id, times in builds.items()}


class _Order:
    """When each layer goes: a layer no earlier than any that stands on it."""

    def __init__(self, layers: Sequence[Layer], uses: Mapping[str, Use]) -> None:
        self._newest = newest_builds(uses.values())
        self._uses = uses
        self._places: dict[str, tuple[bool, float, int]] = {}
        by_id = {layer.id: layer for layer in layers}
        for layer in layers:
            wanted, used = self._own(layer)
            each: Layer | None = layer
            # Chains are as long as Dockerfiles: a walk up from each layer ends after a few dozen steps.
            height = 0
            while each is not None:
                before = self._places.get(each.id, (False, 0.0, 0))
                self._places[each.id] = max(before, (wanted, used, height))
                height += 1
                each = by_id.get(each.parent)

    def of(self, layer: Layer) -> tuple[bool, float, int, int]:
        """The smaller the earlier."""
        return (*self._places[layer.id], -layer.created)

    def _own(self, layer: Layer) -> tuple[bool, float]:
        use = self._uses.get(key(layer.id))
        if use is None:
            return False, float(layer.created)
        return use.last >= self._newest[use.app_id], use.last


def _with_ancestors(ids: Collection[str], layers: Sequence[Layer]) -> set[str]:
    parents = {layer.id: layer.parent for layer in layers}
    found: set[str] = set()
    for each in ids:
        while each and each not in found:
            found.add(each)
            each = parents.get(each, "")
    return found
